"""A client of server-sent events that costs little, so that a test may have thousands."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """An event as it came."""

    id: int
    type: str
    data: str


@dataclass(slots=True)
class EventSource:
    """One answer. ``last_id`` is what an EventSource would send as Last-Event-ID."""

    status: int
    headers: Mapping[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    last_id: int | None = None
    retry: int | None = None
    comments: int = 0
    _left: bytes = b""
    _lines: deque[bytes] = field(default_factory=deque)
    _pending: list[str] = field(default_factory=list)

    async def messages(self) -> AsyncIterator[Message]:
        """Events until the stream ends, properly or by a broken connection.

        Who stops in between goes on with the next event, also if one piece brought several.
        """
        while True:
            while self._lines:
                line = self._lines.popleft()
                if line:
                    self._pending.append(line.decode())
                elif (message := self._message()) is not None:
                    yield message
            piece = await self._piece()
            if not piece:
                return
            *lines, self._left = (self._left + piece).split(b"\n")
            self._lines.extend(lines)

    async def _piece(self) -> bytes:
        """The next chunk; nothing at the end."""
        try:
            size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            return (await self.reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    def _message(self) -> Message | None:
        kind, data = "", ""
        for line in self._pending:
            name, _, value = line.partition(": ")
            if not name or line.startswith(":"):
                self.comments += 1
            elif name == "id":
                self.last_id = int(value)
            elif name == "retry":
                self.retry = int(value)
            elif name == "event":
                kind = value
            elif name == "data":
                data = value
        self._pending.clear()
        return Message(self.last_id or 0, kind, data) if data else None


@asynccontextmanager
async def event_source(
    port: int, path: str, *, key: str, last_id: int | None = None, limit: int = 2**16
) -> AsyncIterator[EventSource]:
    """Connect, and read the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        lines = [f"GET {path} HTTP/1.1", "Host: api", "Accept: text/event-stream", f"X-API-Key: {key}"]
        if last_id is not None:
            lines.append(f"Last-Event-ID: {last_id}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest if line)}
        yield EventSource(int(first.split()[1]), headers, reader, writer)
    finally:
        writer.transport.abort()
