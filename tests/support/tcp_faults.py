"""A TCP proxy on loopback that breaks connections in the ways that networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeVar

Direction = Literal["to_client", "to_server"]
T = TypeVar("T")
_CHUNK = 64 << 10


class How(Enum):
    """What becomes of a connection: a reset, an orderly end, or silence with the connection left open."""

    RESET = "reset"
    CLOSE = "close"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class Fault:
    """Breaks one connection once ``after`` bytes have been passed on in a direction."""

    after: int
    direction: Direction = "to_client"
    how: How = How.RESET


@dataclass(eq=False, slots=True)
class _Link:
    """One connection through the proxy."""

    fault: Fault | None
    writers: list[asyncio.StreamWriter]
    passed: dict[Direction, int] = field(default_factory=lambda: {"to_client": 0, "to_server": 0})
    flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def due(self, direction: Direction, count: int) -> int | None:
        """How many of the next bytes still pass before the fault; None if all do."""
        if self.fault is None or self.fault.direction != direction:
            return None
        left = self.fault.after - self.passed[direction]
        return left if left <= count else None

    def end(self, how: How) -> None:
        """Break it in both directions."""
        if how is How.STALL:
            self.flowing.clear()
            return
        for writer in self.writers:
            if how is How.RESET:
                sock = writer.get_extra_info("socket")
                with suppress(OSError):  # closed by then
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()


class TcpProxy:
    """Passes connections on to a port of this machine, from a thread of its own. Its methods and attributes may be
    used from any thread at any time; they hold for what comes next."""

    def __init__(self, target: int, host: str = "127.0.0.1") -> None:
        self.port = 0
        """Where it listens."""
        self.limit: int | None = None
        """Connections at a time; one more is reset at once."""
        self.delay = 0.0
        """Seconds by which bytes to the client are late."""
        self.accepted = 0
        """Connections so far, without those over the limit."""
        self.passed: dict[Direction, int] = {"to_client": 0, "to_server": 0}
        """Bytes so far, of all connections."""
        self._target = target
        self._host = host
        self._faults: deque[Fault | None] = deque()
        self._links: set[_Link] = set()
        self._stalled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)

    def break_next(self, *faults: Fault | None) -> None:
        """What becomes of the next connections, one each, in order; None lets one be. Later ones are sound."""
        self._do(lambda: self._faults.extend(faults))

    def mend(self) -> None:
        """Let all later connections be, whatever ``break_next`` was told."""
        self._do(self._faults.clear)

    def cut(self, how: How = How.RESET) -> int:
        """Break all connections there are; says how many."""

        def cut() -> int:
            for link in list(self._links):
                link.end(how)
            return len(self._links)

        return self._do(cut)

    def stall(self) -> None:
        """From now on nothing passes, on new connections neither; they stay open."""

        def stall() -> None:
            self._stalled = True
            for link in self._links:
                link.flowing.clear()

        self._do(stall)

    def resume(self) -> None:
        """What was held up passes again."""

        def resume() -> None:
            self._stalled = False
            for link in self._links:
                link.flowing.set()

        self._do(resume)

    def refuse(self) -> None:
        """Close the port: new connections are refused. Those there are stay."""
        self._await(self._close_port())

    def accept(self) -> None:
        """Open the port again."""
        self._await(self._open_port())

    @property
    def connections(self) -> int:
        """How many there are."""
        return self._do(lambda: len(self._links))

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self.accept()

    def stop(self) -> None:
        """Break everything off."""
        self._await(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, action: Callable[[], T]) -> T:
        async def do() -> T:
            return action()

        return self._await(do())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open_port(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close_port(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            await asyncio.sleep(0)  # the socket is closed by a callback

    async def _shut_down(self) -> None:
        await self._close_port()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._link(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(None, [writer])
        if self.limit is not None and len(self._links) >= self.limit:
            link.end(How.RESET)
            return
        self.accepted += 1
        self._links.add(link)
        try:
            link.fault = self._faults.popleft() if self._faults else None
            if not self._stalled:
                link.flowing.set()
            server_reader, server_writer = await asyncio.open_connection(self._host, self._target)
            link.writers.append(server_writer)
            ways = [
                asyncio.ensure_future(self._pass(link, "to_server", reader, server_writer)),
                asyncio.ensure_future(self._pass(link, "to_client", server_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            self._links.discard(link)
            for each in link.writers:
                each.close()

    async def _pass(
        self, link: _Link, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while True:
                if link.fault is not None and link.due(direction, 0) is not None:
                    link.end(link.fault.how)
                    link.fault = None
                await link.flowing.wait()
                data = await reader.read(_CHUNK)
                if not data:
                    return
                if self.delay and direction == "to_client":
                    await asyncio.sleep(self.delay)
                await link.flowing.wait()
                # All of it up to where the connection is to break, and no byte more.
                due = link.due(direction, len(data))
                writer.write(data if due is None else data[:due])
                await writer.drain()
                passed = len(data) if due is None else due
                link.passed[direction] += passed
                self.passed[direction] += passed
                if due is not None and link.fault is not None:
                    if link.fault.how is How.RESET:
                        # A reset overtakes what was written; let it be read first.
                        await asyncio.sleep(0.02)
                    link.end(link.fault.how)
                    link.fault = None
                    if not link.flowing.is_set():
                        await link.flowing.wait()
                        writer.write(data[due:])


@contextmanager
def proxied(target: int, host: str = "127.0.0.1") -> Iterator[TcpProxy]:
    """A proxy before a port."""
    proxy = TcpProxy(target, host)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
