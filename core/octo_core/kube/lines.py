"""A stream of bytes as lines, however long they are and wherever the chunks end."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator


async def lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Each line without its end, empty ones left out. What comes after the last line's end is no line: the stream broke
    in the middle of it."""
    rest: list[bytes] = []
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        if not others:
            continue
        whole = b"".join(rest)
        rest = [others.pop()]
        for line in (whole, *others):
            if line:
                yield line
