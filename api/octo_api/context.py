"""What is known of the request at hand, for its log records, audit row and error answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self

from starlette.types import Scope

from octo_api.auth.caller import Caller
from octo_api.limits.buckets import Allowance

_KEY = "octo.request"
_AT_HAND: ContextVar[RequestContext | None] = ContextVar("octo_request", default=None)


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
    caller: Caller | None = None
    """Whoever the route let in."""
    actor: str | None = None
    namespace: str | None = None
    resource: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """More for the audit row: what was asked for, never a secret."""
    writes: list[asyncio.Future[Any]] = field(default_factory=list)
    """What is still being written; the answer waits for it, so that whoever has one reads what they did."""
    allowance: Allowance | None = None
    """What is left of the caller's share, once the caller is known."""
    intent: str | None = None
    """Id of what the request said beforehand for the audit log; see ``audit.intents``."""
    parts: int = 0
    """How many changes it has spoken of."""
    intended: bool = False
    """Whether at least one of those is known to be committed."""
    aside: Callable[[float], AbstractContextManager[bool]] = field(default=lambda seconds: nullcontext(True))
    """For a client that asked to wait so long at most: in that block the request is neither late nor counted as one
    that the process works on. False if too many wait already: then it should not."""

    async def written(self) -> None:
        """Wait until what is being written is committed, or cannot be for now."""
        if self.writes:
            await asyncio.wait(self.writes)
            self.writes.clear()

    @contextmanager
    def attached(self, scope: Scope) -> Iterator[None]:
        """Make this the context of a request, and the one at hand inside."""
        scope[_KEY] = self
        token = _AT_HAND.set(self)
        try:
            yield
        finally:
            _AT_HAND.reset(token)

    @staticmethod
    def current() -> RequestContext | None:
        """The context of the request at hand; None of work beside the requests."""
        return _AT_HAND.get()

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """The context of a request that came through the middleware."""
        context = scope[_KEY]
        assert isinstance(context, cls)  # noqa: S101 - the middleware put it there
        return context
