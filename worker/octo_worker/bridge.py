"""Where the event loop, which talks to the source, and the thread that works on a file meet."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing, contextmanager

from octo_core.domain.failure import Category
from octo_worker.failure import Failed

AHEAD_BYTES = 2 << 20
"""How far the loop may read ahead of the thread, for one file."""
CLOSING_SECONDS = 10.0


class Stop(threading.Event):
    """Set once the run is to end. Threads see it at their next chunk, or where they wait."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[Callable[[], object]] = set()

    def set(self) -> None:
        """End what threads wait for. Called on the event loop."""
        super().set()
        for tell in tuple(self._told):
            tell()

    def check(self) -> None:
        """Raises ``Failed`` (Cancelled) if it is set."""
        if self.is_set():
            raise Failed(Category.CANCELLED, "the run was told to stop")

    @contextmanager
    def tells(self, callback: Callable[[], object]) -> Iterator[None]:
        """Have ``callback`` called when it is set, as long as the context lasts."""
        self._told.add(callback)
        try:
            if self.is_set():
                callback()
            yield
        finally:
            self._told.discard(callback)


class _Box:
    """A bounded queue with an asynchronous end to put and a blocking one to take."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._room = asyncio.Event()
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._over = False
        self._error: BaseException | None = None
        self.closed = threading.Event()
        """Set when the stream is closed: the source's handle, too, so that its connection serves the next file."""

    async def put(self, chunk: bytes) -> None:
        with self._changed:
            self._chunks.append(chunk)
            self._bytes += len(chunk)
            full = self._bytes >= AHEAD_BYTES
            if full:
                self._room.clear()
            self._changed.notify()
        if full:
            await self._room.wait()

    def end(self, error: BaseException | None) -> None:
        with self._changed:
            if not self._over:
                self._over, self._error = True, error
            self._changed.notify()

    def take(self) -> bytes | None:
        """The next chunk, or None at the end. Raises what the stream raised."""
        with self._changed:
            while not self._chunks and not self._over:
                self._changed.wait()
            if not self._chunks:
                if self._error is not None:
                    raise self._error
                return None
            chunk = self._chunks.popleft()
            was_full = self._bytes >= AHEAD_BYTES
            self._bytes -= len(chunk)
            if was_full and self._bytes < AHEAD_BYTES:
                self._loop.call_soon_threadsafe(self._room.set)
        return chunk


def pulled(loop: asyncio.AbstractEventLoop, stream: AsyncGenerator[bytes], stop: Stop) -> Generator[bytes]:
    """Iterate, in a thread, over a stream that the loop reads ahead. Closing it closes the stream.

    Raises what the stream raises, and ``Failed`` (Cancelled) once ``stop`` is set.
    """
    box = _Box(loop)
    pump: list[asyncio.Task[None]] = []

    def start() -> None:
        pump.append(loop.create_task(_pump(stream, box)))
        # Not in the coroutine itself: a task that is cancelled before its first step never gets there.
        pump[0].add_done_callback(lambda _: box.closed.set())

    def end() -> None:
        # Once: a second time would break off the closing of the stream.
        if not pump[0].cancelling():
            pump[0].cancel()

    def give_up() -> None:
        box.end(Failed(Category.CANCELLED, "the run was told to stop"))
        loop.call_soon_threadsafe(end)

    loop.call_soon_threadsafe(start)
    try:
        with stop.tells(give_up):
            while (chunk := box.take()) is not None:
                yield chunk
    finally:
        loop.call_soon_threadsafe(end)
        box.closed.wait(CLOSING_SECONDS)


async def _pump(stream: AsyncGenerator[bytes], box: _Box) -> None:
    try:
        async with aclosing(stream):
            async for chunk in stream:
                await box.put(chunk)
    except Exception as error:  # noqa: BLE001 - the thread raises it
        box.end(error)
    else:
        box.end(None)
