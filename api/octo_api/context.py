"""What is known of the request at hand, for its log records, audit row and error answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Self

from starlette.types import Scope

from octo_api.limits.buckets import Allowance

_KEY = "octo.request"


@dataclass(slots=True)
class RequestContext:
    """Made by the middleware, filled in on the way."""

    request_id: str
    client: str | None
    action: str | None = None
    """Noun and verb, such as ``jobs.create``; None until a route was found."""
    mutates: bool = False
    scope: str | None = None
    """What the caller has to be allowed, if the route asks for a scope."""
    actor: str | None = None
    namespace: str | None = None
    resource: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """More for the audit row: what was asked for, never a secret."""
    writes: list[asyncio.Future[Any]] = field(default_factory=list)
    """What is still being written; the answer waits for it, so that whoever has one reads what they did."""
    allowance: Allowance | None = None
    """What is left of the caller's share, once the caller is known."""

    async def written(self) -> None:
        """Wait until what is being written is committed, or cannot be for now."""
        if self.writes:
            await asyncio.wait(self.writes)
            self.writes.clear()

    def attach(self, scope: Scope) -> None:
        """Make this the context of a request."""
        scope[_KEY] = self

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """The context of a request that came through the middleware."""
        context = scope[_KEY]
        assert isinstance(context, cls)  # noqa: S101 - the middleware put it there
        return context
