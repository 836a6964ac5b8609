"""HTTP/1.1 with bounds on a request's head, which uvicorn's parser does not have.

A head that is too large gets 431, one that does not arrive in time 408, and what is no HTTP 400: each as a problem
document. Bodies are bounded by ``limits.middleware``.
"""

from __future__ import annotations

import asyncio
import secrets
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from octo_api.errors import BAD_REQUEST, HEAD_TIMEOUT, HEAD_TOO_LARGE, MEDIA_TYPE, Problem


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Make a class with other bounds by ``bounded``."""

    max_head_bytes: ClassVar[int] = 65_536
    head_timeout_seconds: ClassVar[float] = 10.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._in_head = True
        self._head_begun = False
        self._odd_coding = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """A client connected; its first request has to follow."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came in: part of a head, of a body, or of several requests."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            # A head that is whole is measured by the middleware; here it is the one that never ends.
            if self._head_bytes > self.max_head_bytes:
                self._refuse(HEAD_TOO_LARGE)
            elif self._head_timer is None and (self._head_begun or self._head_bytes):
                self._await_head()

    def on_message_begin(self) -> None:
        """The parser met the start of a request."""
        super().on_message_begin()
        self._head_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser met a header, or a trailer, for which nothing here has a use."""
        if self._in_head:
            if name.lower() == b"transfer-encoding" and value.strip().lower() != b"chunked":
                self._odd_coding = True
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The parser has the whole head."""
        self._in_head = self._head_begun = False
        self._stop_waiting()
        if self._odd_coding:
            # Where its body ends nobody can tell, so it is not begun; the parser would give up after that.
            self._refuse(BAD_REQUEST)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The parser met a part of the body."""
        if not self._odd_coding:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The parser has the whole request; what follows is the head of another."""
        if self._odd_coding:
            return
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(BAD_REQUEST)

    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        return cycle is not None and not cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_seconds, self._head_is_late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._answering():
            # An earlier request is still being answered; its answer must not be cut.
            self._await_head()
        elif self._head_bytes:
            self._refuse(HEAD_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        self._stop_waiting()
        if not self._answering() and not self.transport.is_closing():
            body = problem.body(instance="", request_id=secrets.token_hex(12))
            head = (
                f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
                f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


def bounded(*, max_head_bytes: int, head_timeout_seconds: float) -> type[BoundedProtocol]:
    """A protocol with these bounds, to be given to uvicorn."""
    bounds = {"max_head_bytes": max_head_bytes, "head_timeout_seconds": head_timeout_seconds}
    return type("Protocol", (BoundedProtocol,), bounds)
