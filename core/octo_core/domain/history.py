"""What the manifests in a bucket tell of past runs, as lines of JSON: from ``octo-worker history`` to ``octo-api
rebuild``.

For each attempt there is a line that names it, one for each row of its manifest, and one that sums it up: so neither
side keeps more than a line in mind, and a stream that was cut off tells of no run that it did not tell whole.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from octo_core.domain.failure import Category
from octo_core.domain.model import Model, Time
from octo_core.domain.report import FileResult


class PastRun(Model):
    """An attempt that left a manifest, or part of one; its rows follow."""

    event: Literal["run"] = "run"
    uid: str = Field(min_length=1, max_length=64, description="Of the OctoJob.")
    name: str = Field(min_length=1, max_length=63)
    attempt: int = Field(ge=1, le=20)
    provider: str = Field(min_length=1, max_length=63)
    namespace: str | None = Field(default=None, max_length=63)
    created_at: Time | None = Field(default=None, description="When the OctoJob was made.")
    ended_at: Time = Field(description="When the manifest was written.")


class PastFile(FileResult):
    """A row of the manifest."""

    event: Literal["file"] = "file"

    def result(self) -> FileResult:
        """The row alone."""
        return FileResult.model_validate(self.model_dump(exclude={"event"}))


class PastEnd(Model):
    """All rows of the attempt were told."""

    event: Literal["end"] = "end"
    category: Category | None = Field(default=None, description="Why it failed; none for success.")
    reason: str = Field(min_length=1, max_length=256)
    files: int = Field(ge=0, description="Rows of success.")
    failed: int = Field(ge=0, description="Rows of failure.")
    uri: str = Field(max_length=1024)
    sha256: str = Field(max_length=64)


Line = Annotated[PastRun | PastFile | PastEnd, Field(discriminator="event")]
LINE: TypeAdapter[PastRun | PastFile | PastEnd] = TypeAdapter(Line)
