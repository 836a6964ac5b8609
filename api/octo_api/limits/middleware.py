"""Refuses requests that take too much: too large, too slow, or too many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from octo_api.context import RequestContext
from octo_api.errors import BODY_TIMEOUT, HEAD_TOO_LARGE, OVERLOADED, TIMEOUT, TOO_LARGE, Problem, response_of
from octo_api.limits.settings import LimitSettings
from octo_api.metrics import Metrics

NEVER_SHED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that tell how the process is; they have to answer above all when it is busy."""


@dataclass(slots=True)
class _Body:
    """What is still to come of a request's body."""

    pending: bool
    size: int = 0


class LimitsMiddleware:
    """Bounds each request, and how many wait for an answer in this process at a time."""

    def __init__(self, app: ASGIApp, *, settings: LimitSettings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._in_flight = 0
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("Content-Length", "")
        body = _Body("Transfer-Encoding" in headers or length not in ("", "0"))
        refusal = self._refusal(scope, length)
        if refusal is not None:
            await _refuse(refusal, scope, receive, _closing(body, send))
            return
        await self._admit(scope, self._bounded(body, receive), _closing(body, send))

    def _refusal(self, scope: Scope, length: str) -> Problem | None:
        head = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if head + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > self._settings.max_header_bytes:
            return HEAD_TOO_LARGE
        if length.isdecimal() and int(length[:20]) > self._settings.max_body_bytes:
            return TOO_LARGE
        if self._in_flight >= self._settings.max_in_flight and scope["path"] not in NEVER_SHED:
            self._metrics.shed.inc()
            return OVERLOADED
        return None

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = False
        deadline = asyncio.timeout(self._settings.request_timeout_seconds)

        async def first(message: Message) -> None:
            nonlocal answering
            if message["type"] == "http.response.start" and not answering:
                answering = True
                # Streams last for hours: they are neither late nor a load.
                self._in_flight -= 1
                deadline.reschedule(None)
                _tell_share(scope, message)
            await send(message)

        RequestContext.of(scope).aside = partial(self._aside, deadline)
        self._in_flight += 1
        try:
            async with deadline:
                await self._app(scope, receive, first)
        except TimeoutError:
            if answering or not deadline.expired():
                raise
            await _refuse(TIMEOUT, scope, receive, send)
        finally:
            if not answering:
                self._in_flight -= 1

    @contextmanager
    def _aside(self, deadline: asyncio.Timeout, seconds: float) -> Iterator[bool]:
        """See ``RequestContext.aside``. As many may wait as may be under way."""
        if self._waiting >= self._settings.max_in_flight:
            yield False
            return
        clock, until = asyncio.get_running_loop().time, deadline.when()
        began = clock()
        if until is not None:
            deadline.reschedule(until + seconds)
        self._in_flight -= 1
        self._waiting += 1
        try:
            yield True
        finally:
            self._waiting -= 1
            self._in_flight += 1
            if until is not None and not deadline.expired():
                deadline.reschedule(until + clock() - began)

    def _bounded(self, body: _Body, receive: Receive) -> Receive:
        until = asyncio.get_running_loop().time() + self._settings.body_timeout_seconds

        async def counted() -> Message:
            if not body.pending:
                return await receive()
            late = asyncio.timeout_at(until)
            try:
                async with late:
                    message = await receive()
            except TimeoutError as error:
                if not late.expired():
                    raise
                raise HTTPException(BODY_TIMEOUT.status) from error
            body.size += len(message.get("body", b""))
            if body.size > self._settings.max_body_bytes:
                raise HTTPException(TOO_LARGE.status)
            body.pending = bool(message.get("more_body", False))
            return message

        return counted


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    await response_of(problem, Request(scope))(scope, receive, send)


def _closing(body: _Body, send: Send) -> Send:
    """Ends the connection after an answer that came before the whole body, which nobody will wait for."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and body.pending:
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return sending


def _tell_share(scope: Scope, message: Message) -> None:
    allowance = RequestContext.of(scope).allowance
    if allowance is not None:
        headers = MutableHeaders(scope=message)
        headers["RateLimit-Limit"] = str(allowance.limit)
        headers["RateLimit-Remaining"] = str(allowance.remaining)
        headers["RateLimit-Reset"] = str(allowance.reset_seconds)
        headers["RateLimit-Policy"] = f"{allowance.limit};w={allowance.window_seconds}"
