"""Reads a file with requests sent ahead, so that the way to the server is kept full."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import cast

import asyncssh

from octo_worker.sources.sftp.connection import Connection

BLOCK = 255 << 10
"""What an OpenSSH server gives in one answer; the fewer answers, the less work. Others may say less."""
BYTES_AHEAD = 2 << 20
"""Asked for and not yet read, for each file."""


async def blocks(connection: Connection, path: str, start: int, size: int) -> AsyncGenerator[bytes]:
    """The bytes of a file from ``start`` to ``size``, in order. Ends early where the file does."""
    # block_size 0: asyncssh's own parallel reader gives blocks out of order and hides an early end.
    handle = await connection.ask(connection.sftp.open(path, "rb", block_size=0))
    try:
        async for block in _in_order(connection, handle, start, size):
            yield block
    finally:
        connection.later(handle.close())


async def _in_order(
    connection: Connection, handle: asyncssh.SFTPClientFile, start: int, size: int
) -> AsyncGenerator[bytes]:
    async def read(offset: int, count: int) -> bytes:
        # Typed as text, but the file is open as binary.
        return cast(bytes, await connection.ask(handle.read(count, offset)))

    async def block_of(offset: int, count: int) -> bytes:
        block = await read(offset, count)
        while block and len(block) < count:
            # A server may give less than was asked for. Only no bytes at all are the end.
            more = await read(offset + len(block), count - len(block))
            if not more:
                break
            block += more
        return block

    length = min(BLOCK, connection.sftp.limits.max_read_len)
    pending: deque[tuple[int, asyncio.Task[bytes]]] = deque()
    asked = start
    try:
        while asked < size or pending:
            while asked < size and len(pending) < BYTES_AHEAD // length:
                count = min(length, size - asked)
                pending.append((count, asyncio.ensure_future(block_of(asked, count))))
                asked += count
            count, task = pending[0]
            block = await task
            pending.popleft()
            if block:
                yield block
            if len(block) < count:
                return  # the file ends here; the caller counts
    finally:
        for _, task in pending:
            task.cancel()
        await asyncio.gather(*(task for _, task in pending), return_exceptions=True)
