"""Query and path parameters that lists and objects have in common, bounded before they reach a store."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query

MAX_PAGE = 500
MAX_CURSOR = 32_768

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR, description="`nextCursor` of the page before.")]
Namespace = Annotated[str | None, Query(max_length=63, pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
ObjectNameQuery = Annotated[str | None, Query(max_length=253, pattern="^[a-z0-9.-]+$")]
ObjectNamePath = Annotated[str, Path(max_length=253, pattern="^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]
JobIdPath = Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9-]+$", description="`id` of the job.")]
DryRun = Annotated[
    Literal["All"] | None,
    Query(alias="dryRun", description="`All`: check everything, answer as if it were done, and keep nothing."),
]
