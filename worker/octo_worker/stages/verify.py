"""Counts and hashes what passes, and holds a download against what the server says of the file."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources import RemoteFile, Source


class Digest:
    """SHA-256 and length of a stream that has been read so far."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """Of everything added, hex."""
        return self._hash.hexdigest()


async def download(
    source: Source, file: RemoteFile, digest: Digest, count: Callable[[int], None]
) -> AsyncGenerator[bytes]:
    """The file's bytes. Ends well only if they are as many as were listed and the file is still the same."""
    before = await source.stat(file)
    if before != file.stat:
        raise Failed(Category.INTEGRITY, "the file changed after it was listed")
    async with aclosing(source.read(file)) as blocks:
        async for block in blocks:
            digest.add(block)
            count(len(block))
            yield block
    if digest.size != before.size:
        raise Failed(Category.INTEGRITY, f"the server gave {digest.size} bytes of {before.size}")
    if await source.stat(file) != before:
        raise Failed(Category.INTEGRITY, "the file changed while it was read")
