"""What the zip reader lets through: archives whose two accounts of each entry agree, and nothing else."""

from __future__ import annotations

import io
import itertools
import os
import struct
import tracemalloc
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed
from octo_worker.layout import ArchiveKind
from octo_worker.stages.archive import members
from octo_worker.stages.archive.zip import STEP
from tests.support.samples import csv, noise, pieces, zipped

Make = Callable[[dict[str, bytes]], bytes]
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
FULL = 0xFFFFFFFF
TABLE = csv(1, 300)


def read(
    data: bytes, step: int = 1000, source_size: int | None = None, limits: Unpack | None = None
) -> dict[str, bytes]:
    size = len(data) if source_size is None else source_size
    found = members(ArchiveKind.ZIP, pieces(data, step), limits or Unpack(), size)
    return {member.name: b"".join(member.chunks) for member in found}


def outcome(data: bytes) -> dict[str, bytes] | Category:
    """What comes out, or the category of the refusal."""
    try:
        return read(data)
    except Failed as error:
        return error.category


def refused(data: bytes, why: str) -> None:
    with pytest.raises(Failed, match=why) as caught:
        read(data)
    assert caught.value.category is Category.INTEGRITY


class Pipe(io.RawIOBase):
    """What a writer cannot seek in, so that lengths must follow the data."""

    def __init__(self) -> None:
        self.out = io.BytesIO()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self.out.write(cast(bytes, data))


def piped(files: dict[str, bytes], method: int = DEFLATED) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(cast(BinaryIO, pipe), "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return pipe.out.getvalue()


@dataclass
class Written:
    """An entry with every field to be set: in front of the data by ``local``, in the directory by ``central``."""

    name: bytes = b"a.csv"
    data: bytes = b"a,b"
    method: int = STORED
    flags: int = 0
    body: bytes | None = None
    descriptor: bytes = b""
    local: dict[str, int | bytes] = field(default_factory=dict)
    central: dict[str, int | bytes] = field(default_factory=dict)

    def fields(self) -> dict[str, int | bytes]:
        return {
            "flags": self.flags, "method": self.method, "crc": zlib.crc32(self.data), "packed": len(self.packed),
            "size": len(self.data), "name": self.name, "extra": b"", "disk": 0, "mode": 0o100644 << 16,
        }  # fmt: skip

    @property
    def packed(self) -> bytes:
        if self.body is not None:
            return self.body
        return raw_deflate(self.data) if self.method == DEFLATED else self.data


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def written(*entries: Written, before: bytes = b"", comment: bytes = b"", end: dict[str, int] | None = None) -> bytes:
    """An archive of these entries, with the end record's fields overridden by ``end``."""
    out, directory = before, b""
    for entry in entries:
        f = {**entry.fields(), **entry.local}
        name, extra = cast(bytes, f["name"]), cast(bytes, f["extra"])
        offset = len(out)
        out += b"PK\3\4" + struct.pack(
            "<HHHIIIIHH", 20, f["flags"], f["method"], 0, f["crc"], f["packed"], f["size"], len(name), len(extra)
        )
        out += name + extra + entry.packed + entry.descriptor
        f = {**entry.fields(), "offset": offset, **entry.central}
        name, extra = cast(bytes, f["name"]), cast(bytes, f["extra"])
        directory += b"PK\1\2" + struct.pack(
            "<HHHHIIIIHHHHHII", 0x031E, 20, f["flags"], f["method"], 0, f["crc"], f["packed"], f["size"],
            len(name), len(extra), 0, f["disk"], 0, f["mode"], f["offset"],
        ) + name + extra  # fmt: skip
    told = {
        "disk": 0,
        "start_disk": 0,
        "here": len(entries),
        "all": len(entries),
        "size": len(directory),
        "start": len(out),
    }
    told |= end or {}
    return out + directory + b"PK\5\6" + struct.pack("<HHHHIIH", *told.values(), len(comment)) + comment


def end64(archive: bytes, count: int, **changed: int) -> bytes:
    """The archive with zip64 end records, and an end record that refers to them in all its fields."""
    at = archive.rindex(b"PK\5\6")
    size, start = struct.unpack_from("<II", archive, at + 12)
    told = {"length": 44, "disk": 0, "here": count, "all": count, "size": size, "start": start, "end": at, "disks": 1}
    told |= changed
    return (
        archive[:at]
        + b"PK\6\6"
        + struct.pack(
            "<QHHIIQQQQ",
            told["length"],
            45,
            45,
            0,
            told["disk"],
            told["here"],
            told["all"],
            told["size"],
            told["start"],
        )
        + b"PK\6\7"
        + struct.pack("<IQI", 0, told["end"], told["disks"])
        + b"PK\5\6"
        + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, FULL, FULL, 0)
    )


_part = st.text("abcü€. ", min_size=1).filter(lambda part: part not in (".", ".."))
_contents = st.dictionaries(st.lists(_part, min_size=1, max_size=3).map("/".join), st.binary(max_size=3000), max_size=5)


@given(_contents, st.integers(1, 3000), st.sampled_from([STORED, DEFLATED]))
def test_reads_what_was_written(files: dict[str, bytes], step: int, method: int) -> None:
    assert read(zipped(files, method), step) == files


@given(_contents, st.integers(1, 3000))
def test_reads_what_was_written_into_a_pipe(files: dict[str, bytes], step: int) -> None:
    assert read(piped(files), step) == files


@given(st.sampled_from([zipped, piped]), st.data())
def test_chunks_cut_anywhere(make: Make, draw: st.DataObject) -> None:
    files = {"a": TABLE, "b": b"", "c": noise(1, 100)}
    data = make(files)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=12)))
    chunks = (data[start:stop] for start, stop in itertools.pairwise([0, *cuts, len(data)]))
    assert {m.name: b"".join(m.chunks) for m in members(ArchiveKind.ZIP, chunks, Unpack(), len(data))} == files


@given(st.sampled_from([zipped, piped]), st.data())
@settings(max_examples=400)
def test_a_flipped_bit_is_seen_or_harmless(make: Make, draw: st.DataObject) -> None:
    files = {"a.csv": TABLE, "d/b.bin": noise(2, 200), "grün": b""}
    data = bytearray(make(files))
    bit = draw.draw(st.integers(0, 8 * len(data) - 1))
    data[bit // 8] ^= 1 << bit % 8
    assert outcome(bytes(data)) in (files, Category.INTEGRITY, Category.UNPACK_LIMIT)


@pytest.mark.parametrize("make", [zipped, piped])
def test_no_cut_archive_ends_well(make: Make) -> None:
    data = make({"a.csv": TABLE[:200], "b": b""})
    for length in range(len(data)):
        refused(data[:length], r"ends before|cut short")


@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, 5 * STEP])
@pytest.mark.parametrize("make", [zipped, piped])
def test_sizes_around_a_step(make: Make, size: int) -> None:
    data = make({"a": bytes(size), "b": b"2"})
    for member in members(ArchiveKind.ZIP, pieces(data, 1 << 20), Unpack(), len(data)):
        chunks = list(member.chunks)
        assert all(len(chunk) <= STEP for chunk in chunks)
        assert sum(map(len, chunks)) == (size if member.name == "a" else 1)


def test_the_tests_own_writer() -> None:
    data = written(Written(), Written(b"d/", b""), Written(b"b", TABLE, DEFLATED), comment=b"PK by hand")
    assert read(data) == {"a.csv": b"a,b", "b": TABLE}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
    assert read(end64(data[: -len(b"PK by hand") - 2] + b"\0\0", 3)) == read(data)


def test_names() -> None:
    utf8, dos = "grün€".encode(), "grün".encode("cp437")
    flag = 1 << 11
    assert read(written(Written(utf8, flags=flag), Written(dos))) == {"grün€": b"a,b", "grün": b"a,b"}
    assert read(written(Written(utf8))) == {"grün€": b"a,b"}, "Info-ZIP on Unix leaves the flag out"
    refused(written(Written(dos, flags=flag)), "not UTF-8")
    refused(written(Written(b"d\\a.csv")), "backslash")
    refused(written(Written(b"C:a.csv")), "drive letter")
    refused(written(Written(b"a\0.csv")), "control character")
    refused(written(Written(b"../a")), "refused")
    refused(written(Written(), Written()), "two members")


def test_names_in_the_unicode_path_field() -> None:
    def extra(text: str, of: bytes) -> dict[str, int | bytes]:
        body = b"\1" + zlib.crc32(of).to_bytes(4, "little") + text.encode()
        return {"extra": struct.pack("<HH", 0x7075, len(body)) + body}

    right = extra("grün", b"gr_n")
    assert read(written(Written(b"gr_n", local=right, central=right))) == {"grün": b"a,b"}
    stale = extra("grün", b"other")
    assert read(written(Written(b"gr_n", local=stale, central=stale))) == {"gr_n": b"a,b"}
    refused(written(Written(b"gr_n", local=right)), "another in the central directory")
    evil = extra("../x", b"gr_n")
    refused(written(Written(b"gr_n", local=evil, central=evil)), "refused")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", b"b.csv"), ("flags", 1 << 11), ("method", DEFLATED), ("crc", 1), ("packed", 4), ("size", 4),
        ("offset", 1), ("offset", 38),
    ],
)  # fmt: skip
def test_the_directory_must_say_the_same(key: str, value: int | bytes) -> None:
    refused(
        written(Written(), Written(b"x"), Written(central={key: value}, name=b"y")), "another in the central directory"
    )


def test_every_entry_stands_in_both_places_once() -> None:
    whole = written(Written(), Written(b"b"))
    start = whole.index(b"PK\1\2")
    second = whole.index(b"PK\1\2", start + 1)
    end = whole.index(b"PK\5\6")
    refused(whole[:start] + whole[second:], "'a.csv' is not in the central directory")
    refused(whole[:second] + whole[end:], "'b' is not in the central directory")
    refused(whole[:second] + whole[start:], "another in the central directory")
    swapped = whole[:start] + whole[second:end] + whole[start:second] + whole[end:]
    assert read(swapped) == read(whole), "in any order"


@pytest.mark.parametrize(("key", "value"), [("crc", 1), ("packed", 2), ("packed", 4), ("size", 2), ("size", 4)])
@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_the_header_must_be_right(method: int, key: str, value: int) -> None:
    with pytest.raises(Failed, match="archive") as caught:
        read(written(Written(method=method, local={key: value}, central={key: value})))
    assert caught.value.category is Category.INTEGRITY


def test_nothing_may_be_left_out_of_a_header_with_the_data_at_hand() -> None:
    for field_ in ("crc", "size", "packed"):
        refused(written(Written(data=TABLE, method=DEFLATED, local={field_: 0})), r"damaged|cut short")


@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_an_error_that_was_passed_over_comes_again(method: int) -> None:
    found = members(ArchiveKind.ZIP, iter([written(Written(method=method, local={"crc": 1}))]), Unpack(), 1)
    with pytest.raises(Failed, match="damaged"):
        list(next(found).chunks)
    with pytest.raises(Failed, match="not read to its end"):
        next(found)


def test_deflate_streams_end_where_the_header_says() -> None:
    body = raw_deflate(TABLE)
    refused(written(Written(data=TABLE, method=DEFLATED, body=body + b"x")), "damaged")
    refused(written(Written(data=TABLE, method=DEFLATED, body=body[:-1])), "cut short")
    refused(written(Written(data=b"", method=DEFLATED, body=b"")), "cut short")
    refused(written(Written(data=TABLE, method=DEFLATED, body=b"\xff" * 50)), "damaged")


@pytest.mark.parametrize("signature", [b"PK\7\x08", b""])
@pytest.mark.parametrize("lengths", ["<III", "<IQQ"])
@pytest.mark.parametrize("data", [b"", TABLE])
def test_descriptors(signature: bytes, lengths: str, data: bytes) -> None:
    packed = raw_deflate(data)
    entry = Written(
        data=data,
        method=DEFLATED,
        flags=8,
        local={"crc": 0, "packed": 0, "size": 0},
        descriptor=signature + struct.pack(lengths, zlib.crc32(data), len(packed), len(data)),
    )
    assert read(written(Written(b"x"), entry, Written(b"y"))) == {"x": b"a,b", "a.csv": data, "y": b"a,b"}
    for wrong in (b"", signature + struct.pack(lengths, 1, len(packed), len(data)), entry.descriptor + b"\0"):
        entry.descriptor = wrong
        refused(written(Written(b"x"), entry, Written(b"y")), "descriptor")


def test_stored_and_streamed() -> None:
    """Readable if the length stands in front all the same, as bsdtar does it; Python does not."""
    descriptor = b"PK\7\x08" + struct.pack("<III", zlib.crc32(b"a,b"), 3, 3)
    assert read(written(Written(flags=8, local={"crc": 0}, descriptor=descriptor))) == {"a.csv": b"a,b"}
    refused(piped({"a": b"1"}, STORED), "nothing tells where it ends")
    assert read(piped({"a": b""}, STORED)) == {"a": b""}


def test_zip64_lengths() -> None:
    def block(*values: int) -> dict[str, int | bytes]:
        return {"extra": struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)}

    wide: dict[str, int | bytes] = {"packed": FULL, "size": FULL}
    entry = Written(local={**wide, **block(3, 3)}, central={**wide, "offset": FULL, **block(3, 3, 0)})
    assert read(written(entry)) == {"a.csv": b"a,b"}
    entry.central = {"offset": FULL, **block(0)}
    assert read(written(entry)) == {"a.csv": b"a,b"}
    entry.central = {"offset": FULL, **block(1)}
    refused(written(entry), "another in the central directory")
    entry.central = {"offset": FULL}
    refused(written(entry), "zip64")
    entry.local = {**wide, **block(3)}
    refused(written(entry), "zip64")
    twice = cast(bytes, block(3, 3)["extra"])
    refused(written(Written(local={**wide, "extra": 2 * twice})), "extra field")


def test_extra_fields() -> None:
    for harmless in (b"\0\0\0", struct.pack("<HH3s", 0x5455, 3, b"abc"), bytes(8)):
        assert read(written(Written(local={"extra": harmless}))) == {"a.csv": b"a,b"}
    refused(written(Written(local={"extra": struct.pack("<HH", 0x5455, 3)})), "extra field")


@pytest.mark.parametrize(
    "changed",
    [
        {"length": 45}, {"disk": 1}, {"here": 1}, {"all": 3}, {"size": 1}, {"start": 1}, {"end": 0}, {"disks": 2},
    ],
)  # fmt: skip
def test_zip64_end_records(changed: dict[str, int]) -> None:
    archive = written(Written(), Written(b"b"))
    assert len(read(end64(archive, 2))) == 2
    refused(end64(archive, 2, **changed), "zip64 end record")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("disk", 1), ("start_disk", 1), ("here", 1), ("all", 3), ("size", 1), ("start", 1),
        ("all", 0xFFFF), ("start", FULL),
    ],
)  # fmt: skip
def test_end_records(key: str, value: int) -> None:
    refused(written(Written(), Written(b"b"), end={key: value}), "end record")


def test_what_stands_before_between_and_after() -> None:
    whole = written(Written())
    refused(written(Written(), before=b"#!/bin/sh\n"), "no zip")
    refused(b"PK00" + whole, "no zip")
    refused(whole + b"x", "after the end record")
    refused(whole + whole, "after the end record")
    start = whole.index(b"PK\1\2")
    refused(whole[:start] + b"gap" + whole[start:], "something else")
    refused(written(Written(central={"disk": 1})), "part")
    assert read(written(Written(), comment=whole)) == read(whole)


def test_encrypted_entries_are_refused() -> None:
    for bit in (0, 6, 13):
        refused(written(Written(flags=1 << bit)), "encrypted by zip itself")


@pytest.mark.parametrize(
    ("method", "name"), [(1, "Shrink"), (9, "Deflate64"), (12, "BZIP2"), (14, "LZMA"), (77, "unknown")]
)
def test_other_methods_are_refused(method: int, name: str) -> None:
    refused(written(Written(method=method, body=b"a,b")), rf"method {method} \({name}\)")


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o140666, 0o040755])
def test_links_and_devices_refuse_the_archive(mode: int) -> None:
    refused(
        written(Written(), Written(b"evil", b"/etc/passwd", central={"mode": mode << 16})), r"'evil' is a (link|folder)"
    )


def test_windows_links_refuse_the_archive() -> None:
    refused(written(Written(central={"mode": 0x420})), "link")
    assert read(written(Written(central={"mode": 0x20}))) == {"a.csv": b"a,b"}


def test_folders() -> None:
    assert read(written(Written(b"../any/", b""), Written(b"d/", b"", DEFLATED, central={"mode": 0o40755 << 16}))) == {}
    refused(written(Written(b"d/", b"data")), "folder with data")
    with pytest.raises(Failed, match="maxEntries"):
        read(written(Written(b"d/", b""), Written(b"e/", b"")), limits=Unpack(max_entries=1))


def bomb(size: int) -> Iterator[bytes]:
    """The front of an entry of zeros, made as it is asked for."""
    yield b"PK\3\4" + struct.pack("<HHHIIIIHH", 20, 8, DEFLATED, 0, 0, 0, 0, 1, 0) + b"a"
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    for _ in range(size >> 20):
        yield compressor.compress(bytes(1 << 20))


def test_bombs_stop_at_the_limit_in_little_memory() -> None:
    chunks = (c for member in members(ArchiveKind.ZIP, bomb(2 << 30), Unpack(), 1000) for c in member.chunks)
    tracemalloc.start()
    try:
        with pytest.raises(Failed, match=r"unpack\.maxRatio") as caught:
            deque(chunks, maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.category is Category.UNPACK_LIMIT
    assert peak < 8 * STEP


def test_members_share_the_limit() -> None:
    data = written(*(Written(b"%d" % n, bytes(1000), DEFLATED) for n in range(10)))
    assert len(read(data, limits=Unpack(max_expanded_bytes=10_000))) == 10
    with pytest.raises(Failed, match="maxExpandedBytes"):
        read(data, limits=Unpack(max_expanded_bytes=9_999))


def test_many_members_are_read_in_linear_time() -> None:
    files = {f"{n}.csv": os.urandom(n % 50) for n in range(9000)}
    assert read(zipped(files), 1 << 20) == files


@given(st.binary(max_size=200), st.sampled_from([b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6"]))
def test_anything_else_is_refused(tail: bytes, start: bytes) -> None:
    assert outcome(start + tail) in (Category.INTEGRITY, Category.UNPACK_LIMIT)
