"""Between the event loop and a file's thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import closing

import pytest

from octo_core.domain.failure import Category
from octo_worker.bridge import AHEAD_BYTES, Stop, pulled
from octo_worker.failure import Failed

CHUNK = bytes(AHEAD_BYTES // 8)


class Stream:
    """A stream that knows how far it was read and whether it was closed."""

    def __init__(self, chunks: int, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.given = 0
        self.closed = False
        self._chunks, self._error, self._hangs = chunks, error, hangs

    async def read(self) -> AsyncGenerator[bytes]:
        try:
            for _ in range(self._chunks):
                self.given += 1
                yield CHUNK
            if self._hangs:
                await asyncio.Event().wait()
            if self._error is not None:
                raise self._error
        finally:
            await asyncio.sleep(0)  # closing a handle takes a round trip
            self.closed = True


def pull(stream: Stream, stop: Stop) -> Generator[bytes]:
    return pulled(asyncio.get_running_loop(), stream.read(), stop)


async def test_everything_arrives_in_order_and_the_stream_is_closed() -> None:
    stream = Stream(100)
    assert await asyncio.to_thread(lambda chunks: len(b"".join(chunks)), pull(stream, Stop())) == 100 * len(CHUNK)
    assert stream.closed


async def test_the_loop_reads_ahead_only_so_far() -> None:
    stream = Stream(1000)
    chunks = pull(stream, Stop())
    await asyncio.to_thread(next, chunks)
    for _ in range(100):
        await asyncio.sleep(0)
    assert 1 < stream.given <= 10
    await asyncio.to_thread(chunks.close)
    assert stream.closed
    assert stream.given <= 10


async def test_what_the_stream_raises_arrives_behind_its_chunks() -> None:
    stream = Stream(3, Failed(Category.INTEGRITY, "cut short"))
    seen: list[bytes] = []

    def read() -> None:
        seen.extend(pull_later)

    pull_later = pull(stream, Stop())
    with pytest.raises(Failed, match="cut short"):
        await asyncio.to_thread(read)
    assert len(seen) == 3
    assert stream.closed


@pytest.mark.parametrize("early", [True, False])
async def test_stop_ends_a_thread_that_waits(early: bool) -> None:
    stop, stream = Stop(), Stream(1, hangs=True)
    chunks = pull(stream, stop)

    def read() -> int:
        with closing(chunks):
            return sum(1 for _ in chunks)

    if early:
        stop.set()
    reading = asyncio.ensure_future(asyncio.to_thread(read))
    await asyncio.sleep(0.05)
    stop.set()
    with pytest.raises(Failed) as raised:
        await reading
    assert raised.value.category is Category.CANCELLED
    assert stream.closed or stream.given == 0
