"""tar: v7, ustar, pax and GNU's own. ``tarfile`` takes a broken header for the end, so only its header is used.

What a tar says of itself is little: the checksum of each header block covers neither the data nor the bodies of
pax and GNU headers. It is whatever a tar came out of that must tell whether its data is whole.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed, MalformedError
from octo_worker.limits import EntryMeter
from octo_worker.stages.archive.member import Member, Names, member, shown
from octo_worker.stages.archive.reader import Reader

BLOCK = tarfile.BLOCKSIZE
MAX_HEADER_BODY = 1 << 20
"""A name or pax record longer than this is an attack, not a name."""
MAX_HEADERS = 16
"""So are more headers than this in front of one member."""
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EXTENDED = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_SPARSE = "GNU.sparse."
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class _Header:
    type: bytes
    name: str
    size: int


def members(chunks: Iterator[bytes], limits: Unpack) -> Iterator[Member]:
    """Every regular file. Ends well only after the end mark, with the stream read to its own end."""
    reader, entries, names = Reader(chunks), EntryMeter(limits), Names(limits)
    while (header := _next(reader)) is not None:
        entries.add()
        if header.type == tarfile.DIRTYPE:
            continue
        if header.type not in _REGULAR:
            what = "sparse" if header.type == tarfile.GNUTYPE_SPARSE else "a link or device"
            raise MalformedError(f"archive: {shown(header.name)} is {what}, not a regular file")
        name = names.accept(header.name)
        data = reader.data(header.size)
        yield member(name, data)
        for _ in data:
            pass
        reader.skip(-header.size % BLOCK)
    _end(reader)


def _next(reader: Reader) -> _Header | None:
    """The header of the next entry, with what the headers before it say of it; None at the end mark."""
    name: str | None = None
    size: int | None = None
    for _ in range(MAX_HEADERS):
        block = reader.exactly(BLOCK)
        if not block.strip(b"\0"):
            if name is not None or size is not None:
                raise MalformedError("archive: the last headers have no member")
            return None
        header = _parse(block)
        if header.type in _EXTENDED:
            for key, value in _records(_body(reader, header.size)):
                if key == "path":
                    name = value
                elif key == "size":
                    size = _number(value)
                elif key.startswith(_SPARSE):
                    raise MalformedError("archive: a member is sparse, not a regular file")
        elif header.type == tarfile.XGLTYPE:
            _global(_body(reader, header.size))
        elif header.type == tarfile.GNUTYPE_LONGNAME:
            name = _text(_body(reader, header.size).partition(b"\0")[0])
        elif header.type == tarfile.GNUTYPE_LONGLINK:
            _body(reader, header.size)
        else:
            return _Header(header.type, header.name if name is None else name, header.size if size is None else size)
    raise Failed(Category.UNPACK_LIMIT, f"archive: a member has more than {MAX_HEADERS} headers")


def _end(reader: Reader) -> None:
    """The second block of the end mark, and the padding."""
    if reader.exactly(BLOCK).strip(b"\0"):
        raise MalformedError("archive: the end mark is malformed")
    reader.zeros_to_the_end("the end mark")


def _parse(block: bytes) -> _Header:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise MalformedError(f"archive: {error}") from error
    if header.size < 0:
        raise MalformedError("archive: a member's size is negative")
    return _Header(header.type, header.name, header.size)


def _body(reader: Reader, size: int) -> bytes:
    if size > MAX_HEADER_BODY:
        raise Failed(Category.UNPACK_LIMIT, "archive: a member's header is longer than 1 MiB")
    body = reader.exactly(size)
    reader.skip(-size % BLOCK)
    return body


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise MalformedError("archive: a member's size is not a number")
    return int(text)


def _global(body: bytes) -> None:
    """Records for all members that follow. No writer names or measures them so; it would be misread here."""
    for key, _ in _records(body):
        if key in ("path", "size") or key.startswith(_SPARSE):
            raise MalformedError(f"archive: a global header sets {key!r}")


def _records(body: bytes) -> Iterator[tuple[str, str]]:
    """The records ``<length> <key>=<value>\\n`` of a pax header."""
    start, end = 0, len(body.rstrip(b"\0"))
    while start < end:
        digits = body[start : start + 9].partition(b" ")[0]
        stop = start + (int(digits) if digits.isdigit() else 0)
        key, equals, value = body[start + len(digits) + 1 : stop].partition(b"=")
        if stop > len(body) or not equals or not value.endswith(b"\n"):
            raise MalformedError("archive: an extended header is malformed")
        yield _text(key), _text(value[:-1])
        start = stop
