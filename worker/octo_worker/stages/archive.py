"""Reads a tar archive as it streams by: regular files only, and only under harmless names."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from octo_core.domain.failure import Category
from octo_worker.failure import Failed, MalformedError
from octo_worker.layout import NameRefusedError, check_path
from octo_worker.limits import EntryMeter

BLOCK = tarfile.BLOCKSIZE
MAX_HEADER_BODY = 1 << 20
"""A name or pax record longer than this is an attack, not a name."""
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of an archive."""

    name: str
    size: int


def member_name(raw: str) -> str:
    """The path of a member below its archive, or ``NameRefusedError``. Only a leading ``./`` is taken off."""
    name = raw
    while name.startswith("./"):
        name = name[2:]
    check_path(name)
    return name


class TarReader:
    """Iterates over members; the bytes of each must be read before the next."""

    def __init__(self, stream: AsyncIterator[bytes], entries: EntryMeter) -> None:
        self._stream = stream
        self._entries = entries
        self._buffer = b""
        self._left = 0
        self._padding = 0

    async def members(self) -> AsyncIterator[Member]:
        """Every regular file. Ends well only after the end mark, with the stream read to its own end."""
        names: set[str] = set()
        extended: dict[str, str] = {}
        while True:
            async for _ in self.data():
                pass  # what the caller left unread
            await self._exactly(self._padding)
            self._padding = 0
            block = await self._exactly(BLOCK)
            if not block.strip(b"\0"):
                break
            header = _header(block)
            if header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                extended.update(_pax(await self._body(header.size)))
                continue
            if header.type == tarfile.XGLTYPE:
                await self._body(header.size)
                continue
            if header.type == tarfile.GNUTYPE_LONGNAME:
                extended["path"] = _text((await self._body(header.size)).rstrip(b"\0"))
                continue
            if header.type == tarfile.GNUTYPE_LONGLINK:
                await self._body(header.size)
                continue
            self._entries.add()
            raw, size = extended.get("path", header.name), _size(extended.get("size"), header.size)
            sparse = any(key.startswith("GNU.sparse") for key in extended)
            extended = {}
            if header.type == tarfile.DIRTYPE:
                continue
            if header.type not in _REGULAR or sparse:
                raise MalformedError(f"archive: {raw!r} is a link or device, not a regular file")
            try:
                name = member_name(raw)
            except NameRefusedError as error:
                raise MalformedError(f"archive: name {raw[:200]!r} refused: {error}") from error
            if name in names:
                raise MalformedError(f"archive: two members are named {name!r}")
            names.add(name)
            self._expect(size)
            yield Member(name, size)
        self._buffer = b""
        async for _ in self._stream:
            pass  # the stages before verify only at the end of the stream

    async def data(self) -> AsyncGenerator[bytes]:
        """The bytes of the current member that have not been read yet."""
        while self._left:
            if not self._buffer:
                self._buffer = await self._more()
            chunk, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
            self._left -= len(chunk)
            yield chunk

    def _expect(self, size: int) -> None:
        self._left, self._padding = size, -size % BLOCK

    async def _body(self, size: int) -> bytes:
        if size > MAX_HEADER_BODY:
            raise Failed(Category.UNPACK_LIMIT, "archive: a member's header is longer than 1 MiB")
        body = await self._exactly(size)
        await self._exactly(-size % BLOCK)
        return body

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += await self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def _more(self) -> bytes:
        async for chunk in self._stream:
            if chunk:
                return chunk
        raise MalformedError("archive: the data ends before the archive does")


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise MalformedError(f"archive: {error}") from error
    if header.size < 0:
        raise MalformedError("archive: a member's size is negative")
    return header


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _size(extended: str | None, own: int) -> int:
    if extended is None:
        return own
    if not extended.isascii() or not extended.isdigit():
        raise MalformedError("archive: a member's size is not a number")
    return int(extended)


def _pax(body: bytes) -> dict[str, str]:
    """The records ``<length> <key>=<value>\\n`` of an extended header."""
    records: dict[str, str] = {}
    rest = body
    while rest.rstrip(b"\0"):
        digits, space, _ = rest.partition(b" ")
        if not space or len(digits) > 8 or not digits.isdigit():
            raise MalformedError("archive: an extended header is malformed")
        length = int(digits)
        record = rest[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if length > len(rest) or not record.endswith(b"\n") or not equals:
            raise MalformedError("archive: an extended header is malformed")
        records[_text(key)] = _text(value[:-1])
        rest = rest[length:]
    return records
