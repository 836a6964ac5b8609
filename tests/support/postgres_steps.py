"""A proxy before Postgres that sees each transaction which writes, right before and right after it is committed.

It reads what a client sends only as far as it has to, passes everything on as it is, and calls a hook around each
COMMIT of a transaction that inserted or updated rows: whatever else a crash does to a transaction is a rollback.

    async with postgres_steps(port) as steps:
        steps.hook = look                  # async def look(tables, when), when is "before" or "after"
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal

When = Literal["before", "after"]
Hook = Callable[[frozenset[str], When], Awaitable[None]]

_WRITES = re.compile(r"(?:\bINSERT\s+INTO|^\s*UPDATE)\s+(\w+)", re.IGNORECASE)
_ENDS = re.compile(r"\s*(COMMIT|ROLLBACK)", re.IGNORECASE)
_SSL, _CANCEL = 80877103, 80877102


class PostgresSteps:
    """Connections through the proxy."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self.hook: Hook | None = None
        self._tasks: set[asyncio.Future[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        ways: list[asyncio.Future[None]] = []
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(server_writer)
            connection = _Connection(self, reader, writer, server_reader, server_writer)
            ways += (asyncio.ensure_future(connection.to_server()), asyncio.ensure_future(connection.to_client()))
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # There is no Postgres at the moment.
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in writers:
                each.transport.abort()
                with suppress(OSError):
                    await each.wait_closed()

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tell(self, tables: frozenset[str], when: When) -> None:
        """Call the hook."""
        if self.hook is not None:
            await self.hook(tables, when)


class _Connection:
    def __init__(
        self,
        steps: PostgresSteps,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        self._steps = steps
        self._reader, self._writer = reader, writer
        self._server_reader, self._server_writer = server_reader, server_writer
        self._statements: dict[bytes, str] = {}
        self._written: set[str] = set()
        self._committing: frozenset[str] | None = None
        self._begun = asyncio.Event()

    async def to_server(self) -> None:
        """What the client sends, message by message."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._begin()
            while True:
                kind = await self._reader.readexactly(1)
                length = await self._reader.readexactly(4)
                body = await self._reader.readexactly(struct.unpack("!I", length)[0] - 4)
                sql = self._executed(kind, body)
                if sql is not None:
                    await self._look(sql)
                self._server_writer.write(kind + length + body)
                await self._server_writer.drain()

    async def to_client(self) -> None:
        """What the server answers, message by message once the connection stands."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._begun.wait()
            while True:
                kind = await self._server_reader.readexactly(1)
                length = await self._server_reader.readexactly(4)
                body = await self._server_reader.readexactly(struct.unpack("!I", length)[0] - 4)
                if kind == b"Z" and self._committing is not None:
                    tables, self._committing = self._committing, None
                    await self._steps.tell(tables, "after")
                self._writer.write(kind + length + body)
                await self._writer.drain()

    async def _begin(self) -> None:
        """The first messages have no kind."""
        while True:
            length = await self._reader.readexactly(4)
            body = await self._reader.readexactly(struct.unpack("!I", length)[0] - 4)
            self._server_writer.write(length + body)
            code = struct.unpack("!I", body[:4])[0]
            if code == _SSL:
                self._writer.write(await self._server_reader.readexactly(1))
                continue
            self._begun.set()
            return

    def _executed(self, kind: bytes, body: bytes) -> str | None:
        """The statement that this message carries out."""
        if kind == b"Q":
            return body.rstrip(b"\0").decode()
        if kind == b"P":
            name, sql, _ = body.split(b"\0", 2)
            self._statements[name] = sql.decode()
        elif kind == b"B":
            _, name, _ = body.split(b"\0", 2)
            return self._statements.get(name)
        return None

    async def _look(self, sql: str) -> None:
        self._written.update(table.lower() for table in _WRITES.findall(sql))
        ends = _ENDS.match(sql)
        if ends is not None:
            tables, self._written = frozenset(self._written), set()
            if tables and ends[1].upper() == "COMMIT":
                await self._steps.tell(tables, "before")
                self._committing = tables


@asynccontextmanager
async def postgres_steps(target: int) -> AsyncIterator[PostgresSteps]:
    """A proxy before a port, in the running loop."""
    steps = PostgresSteps(target)
    server = await asyncio.start_server(steps.serve, "127.0.0.1", 0)
    steps.port = server.sockets[0].getsockname()[1]
    try:
        yield steps
    finally:
        server.close()
        await steps.close()
