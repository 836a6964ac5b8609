"""Counts and hashes what passes, and holds a download against what the server says of the file."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources import RemoteFile, Source
from octo_worker.sources.tries import Tries


class LeftForLaterError(Exception):
    """The file is not as it was listed: somebody still writes it, so it is left to a later run."""


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


def hashed(chunks: Iterator[bytes], digest: Digest) -> Iterator[bytes]:
    """Pass chunks on, and add them to ``digest``."""
    for chunk in chunks:
        digest.add(chunk)
        yield chunk


async def download(
    source: Source, file: RemoteFile, tries: Tries, count: Callable[[int], None]
) -> AsyncGenerator[bytes]:
    """The file's bytes. Ends well only if they are as many as were listed and the file is still the same.

    Raises ``LeftForLaterError`` before the first byte if it is not as it was listed, ``Failed`` later.
    """
    if await source.stat(file, tries) != file.stat:
        raise LeftForLaterError
    size = 0
    async with aclosing(source.read(file, tries)) as blocks:
        async for block in blocks:
            size += len(block)
            count(len(block))
            yield block
    if size != file.size:
        raise Failed(Category.INTEGRITY, f"the server gave {size} bytes of {file.size}")
    if await source.stat(file, tries) != file.stat:
        raise Failed(Category.INTEGRITY, "the file changed while it was read")
