"""zip, read from front to back, as what comes out of a decryption cannot be sought in.

The section numbers are those of PKWARE's APPNOTE 6.3. A zip says everything twice: in front of each member, and in
the central directory at the end. What is read on the way is believed only once the directory says the same, entry
by entry, and accounts for every byte; so no entry overlaps another, none is hidden, and readers that go by the
directory see the same members. That an entry is a link stands in the directory alone, so it too comes out last.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

from isal.igzip_lib import DECOMP_DEFLATE, IgzipDecompressor, IsalError
from isal.isal_zlib import crc32

from octo_core.domain.provider import Unpack
from octo_worker.failure import MalformedError
from octo_worker.limits import EntryMeter, ExpansionMeter
from octo_worker.stages.archive.member import Member, Names, member, shown
from octo_worker.stages.archive.reader import Reader

STEP = 1 << 20
"""No chunk that is given out is longer."""
_SLICE = 64 << 10

_LOCAL, _LOCAL_FIELDS = b"PK\3\4", struct.Struct("<HHHIIIIHH")  # 4.3.7; date and time as one number
_DESCRIPTOR = b"PK\7\x08"  # 4.3.9
_CENTRAL, _CENTRAL_FIELDS = b"PK\1\2", struct.Struct("<HHHHIIIIHHHHHII")  # 4.3.12
_END64, _END64_FIELDS = b"PK\6\6", struct.Struct("<QHHIIQQQQ")  # 4.3.14
_LOCATOR64, _LOCATOR64_FIELDS = b"PK\6\7", struct.Struct("<IQI")  # 4.3.15
_END, _END_FIELDS = b"PK\5\6", struct.Struct("<HHHHIIH")  # 4.3.16

_STORED, _DEFLATED = 0, 8  # 4.4.5
_METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 12: "BZIP2", 14: "LZMA", 19: "LZ77", 20: "Zstandard", 93: "Zstandard",
    94: "MP3", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES encryption",
}  # fmt: skip
_STREAMED, _UTF8 = 1 << 3, 1 << 11  # 4.4.4: the lengths follow the data; the name is UTF-8
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_PATCH = 1 << 5
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075  # 4.5.3, 4.6.9
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
"""In a field that is too small for its value, which then stands in the zip64 record."""
_REPARSE_POINT = 0x400
_ERROR = cast(type[Exception], IsalError)  # its stub declares an instance


class _Facts(NamedTuple):
    """What both records of an entry must agree on."""

    raw: bytes
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int


@dataclass(slots=True)
class _Entry:
    """An entry as its local header announces it. A streamed one may leave ``crc`` and the lengths 0."""

    raw: bytes
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    facts: _Facts | None = None
    """What it was found to be, once its data has been read."""

    @property
    def streamed(self) -> bool:
        return bool(self.flags & _STREAMED)


def members(chunks: Iterator[bytes], limits: Unpack, meter: ExpansionMeter) -> Iterator[Member]:
    """Every regular file, its bytes counted by ``meter``. Ends well only after the end record, with the stream read to
    its own end."""
    reader, entries, names = Reader(chunks), EntryMeter(limits), Names(limits)
    found: dict[int, _Facts] = {}
    while True:
        offset = reader.offset
        signature = reader.exactly(4)
        if signature != _LOCAL:
            break
        entries.add()
        entry = _local(reader)
        data = _expanded(reader, entry, meter)
        folder = entry.name.endswith("/")
        if not folder:
            yield member(names.accept(entry.name), data)
        for _ in data:
            pass
        if entry.facts is None:
            raise MalformedError(f"archive: {shown(entry.name)} was not read to its end")
        if folder and entry.facts.size:
            raise MalformedError(f"archive: {shown(entry.name)} is a folder with data")
        found[offset] = entry.facts
    _directory(reader, signature, found)
    # bsdtar pads what it writes into a pipe with zeros, as if it were a tar.
    reader.zeros_to_the_end("the end record")


def _local(reader: Reader) -> _Entry:
    """The header in front of an entry's data, without its signature."""
    fields = _LOCAL_FIELDS.unpack(reader.exactly(_LOCAL_FIELDS.size))
    _, flags, method, _, crc, packed, size, name_length, extra_length = fields
    raw = reader.exactly(name_length)
    extra = _extra(reader.exactly(extra_length))
    name = _name(raw, flags, extra)
    if flags & _ENCRYPTED:
        raise MalformedError(f"archive: {shown(name)} is encrypted by zip itself, which is not supported")
    if flags & _PATCH or method not in (_STORED, _DEFLATED):
        what = "patch data" if flags & _PATCH else f"method {method} ({_METHODS.get(method, 'unknown')})"
        raise MalformedError(f"archive: {shown(name)} is compressed by {what}, not by Deflate")
    # 4.5.3: in this order, and only those that are full in the header.
    size, packed = _widened(extra, (size, packed), name)
    if method == _STORED and packed != size:
        raise MalformedError(f"archive: {shown(name)} is stored with two lengths")
    return _Entry(raw, name, flags, method, crc, packed, size)


def _expanded(reader: Reader, entry: _Entry, meter: ExpansionMeter) -> Iterator[bytes]:
    """The entry's data, expanded and checked against its header and descriptor."""
    start, crc, size = reader.offset, 0, 0
    for chunk in _inflated(reader, entry) if entry.method == _DEFLATED else reader.data(entry.packed):
        crc, size = crc32(chunk, crc), size + len(chunk)
        meter.add(len(chunk))
        yield chunk
    actual = (crc, reader.offset - start, size)
    announced = (entry.crc, entry.packed, entry.size)
    if any(told != true for told, true in zip(announced, actual, strict=True) if told or not entry.streamed):
        raise MalformedError(f"archive: {shown(entry.name)} is damaged: its length or CRC is not that of its header")
    if entry.streamed:
        _descriptor(reader, entry, *actual)
    entry.facts = _Facts(entry.raw, entry.name, entry.flags, entry.method, *actual)


def _inflated(reader: Reader, entry: _Entry) -> Iterator[bytes]:
    """The expanded data of one Deflate stream, which is as long as the header says, if it does."""
    stream = IgzipDecompressor(flag=DECOMP_DEFLATE)
    end = None if entry.streamed and not entry.packed else reader.offset + entry.packed
    while not stream.eof:
        data = b""
        if stream.needs_input:
            data = reader.some(_SLICE if end is None else min(_SLICE, end - reader.offset))
            if not data:
                raise MalformedError(f"archive: {shown(entry.name)} is cut short")
        try:
            out = stream.decompress(data, STEP)
        except _ERROR as error:
            raise MalformedError(f"archive: {shown(entry.name)} is damaged: {error}") from error
        if out:
            yield out
    reader.unread(stream.unused_data)


def _descriptor(reader: Reader, entry: _Entry, crc: int, packed: int, size: int) -> None:
    """The data descriptor (4.3.9): with or without signature, and with long lengths not only where zip64 asks for
    them. As what it must say is known, the form is told by trying; two more records follow in any case."""
    ahead = reader.exactly(26)
    reader.unread(ahead)
    for lengths in ("<IQQ", "<III"):
        if lengths == "<III" and max(packed, size) > _FULL32:
            continue
        for signature in (_DESCRIPTOR, b""):
            form = signature + struct.pack(lengths, crc, packed, size)
            if ahead.startswith(form + b"PK"):
                reader.skip(len(form))
                return
    if entry.method == _STORED and not entry.packed:
        raise MalformedError(
            f"archive: {shown(entry.name)} is stored without its length in front; nothing tells where it ends"
        )
    raise MalformedError(f"archive: {shown(entry.name)} is damaged: its length or CRC is not that of its descriptor")


def _directory(reader: Reader, signature: bytes, found: dict[int, _Facts]) -> None:
    """The central directory and the end records, held against the entries that were found."""
    start, count = reader.offset - len(signature), len(found)
    while signature == _CENTRAL:
        _listed(reader, found)
        signature = reader.exactly(4)
    end = reader.offset - len(signature)
    if signature not in (_END, _END64):
        raise MalformedError(
            f"archive: there is something else than a zip record at byte {end}"
            if end
            else "archive: the data is no zip archive"
        )
    if found:
        name = next(iter(found.values())).name
        raise MalformedError(f"archive: {shown(name)} is not in the central directory")
    zip64 = signature == _END64
    if zip64:
        fields = _END64_FIELDS.unpack(reader.exactly(_END64_FIELDS.size))
        length, _, _, *told = fields
        if length != _END64_FIELDS.size - 8 or told != [0, 0, count, count, end - start, start]:
            raise MalformedError("archive: the zip64 end record does not tell what the archive holds")
        if reader.exactly(4) != _LOCATOR64:
            raise MalformedError("archive: the zip64 end record is not located")
        if _LOCATOR64_FIELDS.unpack(reader.exactly(_LOCATOR64_FIELDS.size)) != (0, end, 1):
            raise MalformedError("archive: the zip64 end record is not where it is said to be")
        signature = reader.exactly(4)
    if signature != _END:
        raise MalformedError("archive: the end record is missing")
    *short, comment = _END_FIELDS.unpack(reader.exactly(_END_FIELDS.size))
    full = (*(_FULL16,) * 4, *(_FULL32,) * 2)
    for told, true, most in zip(short, (0, 0, count, count, end - start, start), full, strict=True):
        if told != true and not (zip64 and told == most):
            raise MalformedError("archive: the end record does not tell what the archive holds")
    reader.skip(comment)


def _listed(reader: Reader, found: dict[int, _Facts]) -> None:
    """One header of the central directory, without its signature. Takes the entry that it tells of out of ``found``."""
    fields = _CENTRAL_FIELDS.unpack(reader.exactly(_CENTRAL_FIELDS.size))
    _, _, flags, method, _, crc, packed, size, name_length, extra_length, comment_length, disk, _, mode, offset = fields
    raw = reader.exactly(name_length)
    extra = _extra(reader.exactly(extra_length))
    reader.skip(comment_length)
    name = _name(raw, flags, extra)
    size, packed, offset = _widened(extra, (size, packed, offset), name)
    if disk:
        raise MalformedError("archive: it is a part of a zip of several")
    if found.pop(offset, None) != _Facts(raw, name, flags, method, crc, packed, size):
        raise MalformedError(f"archive: {shown(name)} is another in the central directory than in its place")
    kind = stat.S_IFMT(mode >> 16)
    # A pipe is what Info-ZIP calls the data that it read from its standard input.
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO) or mode & _REPARSE_POINT:
        raise MalformedError(f"archive: {shown(name)} is a link or device, not a regular file")
    if kind == stat.S_IFDIR and not name.endswith("/"):
        raise MalformedError(f"archive: {shown(name)} is a folder by its mode and a file by its name")


def _extra(data: bytes) -> dict[int, bytes]:
    """The extra field's blocks (4.5.1). Less than a block's header may be left over as padding."""
    blocks: dict[int, bytes] = {}
    start = 0
    while len(data) - start >= 4:
        kind, length = struct.unpack_from("<HH", data, start)
        start += 4 + length
        if start > len(data) or (kind in blocks and kind in (_ZIP64, _UNICODE_PATH)):
            raise MalformedError("archive: an extra field is malformed")
        blocks[kind] = data[start - length : start]
    return blocks


def _widened(extra: dict[int, bytes], fields: tuple[int, ...], name: str) -> tuple[int, ...]:
    """The fields, with those that are full taken from the zip64 block (4.5.3), where they stand in this order."""
    block, at = extra.get(_ZIP64, b""), 0
    wide = []
    for field in fields:
        if field == _FULL32:
            if len(block) < at + 8:
                raise MalformedError(f"archive: {shown(name)} lacks its zip64 lengths")
            field = int.from_bytes(block[at : at + 8], "little")
            at += 8
        wide.append(field)
    return tuple(wide)


def _name(raw: bytes, flags: int, extra: dict[int, bytes]) -> str:
    """The name as text. Unix tools leave the UTF-8 flag out of what is UTF-8, so that is tried before the DOS code
    page; hardly any name in the one is valid in the other."""
    block = extra.get(_UNICODE_PATH, b"")
    if block[:1] == b"\1" and block[1:5] == crc32(raw).to_bytes(4, "little"):
        raw, flags = block[5:], flags | _UTF8
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape") if flags & _UTF8 else raw.decode("cp437")
