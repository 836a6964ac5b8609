"""What the tar reader lets through, held against the standard library's own writer."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed
from octo_worker.layout import ArchiveKind
from octo_worker.stages.archive import members
from octo_worker.stages.archive.tar import MAX_HEADERS
from tests.support.samples import pieces, tar

END = bytes(1024)


def read(data: bytes, step: int = 1000, limits: Unpack | None = None) -> dict[str, bytes]:
    found = members(ArchiveKind.TAR, pieces(data, step), limits or Unpack(), len(data))
    return {member.name: b"".join(member.chunks) for member in found}


def outcome(data: bytes) -> dict[str, bytes] | Category:
    """What comes out, or the category of the refusal."""
    try:
        return read(data)
    except Failed as error:
        return error.category


def refused(data: bytes, why: str, category: Category = Category.INTEGRITY) -> None:
    with pytest.raises(Failed, match=why) as caught:
        read(data)
    assert caught.value.category is category


def made(members: dict[str, bytes], format_: int = tarfile.PAX_FORMAT, **headers: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_, pax_headers=headers.get("pax_headers")) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.pax_headers = headers.get(name, {})
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def entry(kind: bytes, name: str = "x", body: bytes = b"", size: int | None = None) -> bytes:
    """One header block and its body."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(body) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % 512)


FILE = entry(tarfile.REGTYPE, "a.csv", b"1")


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("name", ["d" * 90 + "/" + "n" * 120 + ".csv", "é/" * 20 + "ü.csv", "d" * 100, "d" * 101])
def test_long_names(format_: int, name: str) -> None:
    assert read(made({name: b"1", "short": b"2"}, format_)) == {name: b"1", "short": b"2"}


def test_ustar_prefixes() -> None:
    name = "d" * 90 + "/" + "n" * 90
    assert read(made({name: b"1"}, tarfile.USTAR_FORMAT)) == {name: b"1"}


def test_v7() -> None:
    """No magic, no type; a folder is told by its slash."""

    def v7(name: bytes, data: bytes) -> bytes:
        block = bytearray(512)
        block[: len(name)] = name
        block[100:108], block[124:136] = b"000644 \0", b"%011o " % len(data)
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block) + data + bytes(-len(data) % 512)

    assert read(v7(b"d/", b"") + v7(b"d/a.csv", b"a,b") + END) == {"d/a.csv": b"a,b"}


def test_sizes_in_base_256() -> None:
    block = bytearray(FILE[:512])
    block[124:136] = b"\x80" + (1).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert read(bytes(block) + FILE[512:] + END) == {"a.csv": b"1"}
    block[124:136] = b"\xff" * 12
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    refused(bytes(block) + FILE[512:] + END, "negative")


def test_sizes_in_pax_headers() -> None:
    def sized(text: str) -> bytes:
        record = f" size={text}\n".encode()
        digits = next(n for n in range(1, 9) if len(str(len(record) + n)) == n)
        return entry(tarfile.XHDTYPE, body=b"%d" % (len(record) + digits) + record)

    assert read(sized("600") + entry(tarfile.REGTYPE, "a", bytes(600), size=0) + END) == {"a": bytes(600)}
    for text in ("-1", "x", "", "²", "1" * 5000):
        refused(sized(text) + FILE + END, "not a number")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
        b"D", b"M", b"N", b"V", b"A", b"Z",
    ],
)  # fmt: skip
def test_links_and_devices_refuse_the_archive(kind: bytes) -> None:
    refused(FILE + entry(kind) + END, "not a regular file")


def test_sparse_files_are_refused() -> None:
    refused(entry(tarfile.GNUTYPE_SPARSE) + END, "sparse")
    refused(made({"a": b"1"}, a={"GNU.sparse.major": "1"}), "sparse")


def test_folders_are_passed_over_but_counted() -> None:
    data = entry(tarfile.DIRTYPE, "../anywhere/") + END
    assert read(data) == {}
    with pytest.raises(Failed, match="maxEntries"):
        read(data, limits=Unpack.model_construct(max_entries=0))


def test_global_headers_say_nothing_of_members() -> None:
    assert read(made({"a": b"1"}, pax_headers={"comment": "the commit"})) == {"a": b"1"}
    for key in ("path", "size", "GNU.sparse.name"):
        refused(made({"a": b"1"}, pax_headers={key: "1"}), "global header")


def test_extra_records_do_no_harm() -> None:
    assert read(made({"a": b"1"}, a={"mtime": "1.5", "SCHILY.xattr.user.a": "x" * 3000})) == {"a": b"1"}


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"0 a=b\n",
        b"5 a=\n5",
        b"9 a=\n",
        b"5 a=\n99 a=b\n",
        b"-5 a=\n",
        b"3 \n",
        b"4 a\n",
        b"99999999999 a=\n",
        b" a=\n",
    ],
)
def test_malformed_records(body: bytes) -> None:
    refused(entry(tarfile.XHDTYPE, body=body) + FILE + END, "extended header is malformed")


def test_header_bombs() -> None:
    limit = Category.UNPACK_LIMIT
    refused(entry(b"L", size=2 << 20), "longer than 1 MiB", limit)
    refused(entry(b"x", size=1 << 60), "longer than 1 MiB", limit)
    header = entry(b"x", body=b"8 a=bcd\n" * 1000)
    assert read(header * (MAX_HEADERS - 1) + FILE + END) == {"a.csv": b"1"}
    refused(header * MAX_HEADERS + FILE + END, "headers", limit)
    # As many records as fit are read in linear time.
    assert read(entry(b"x", body=b"5 a=\n" * 200_000) + FILE + END, 1 << 20) == {"a.csv": b"1"}


def test_the_end_mark() -> None:
    assert read(FILE + END) == {"a.csv": b"1"}
    refused(FILE + bytes(512), "ends before")
    refused(FILE, "ends before")
    refused(FILE + bytes(512) + FILE + END, "end mark")
    refused(FILE + END + FILE + END, "after the end mark")
    refused(entry(b"L", body=b"name\0") + END, "no member")


def test_duplicates() -> None:
    refused(FILE + FILE + END, "two members")


@given(st.binary(min_size=512, max_size=512))
def test_any_header_is_read_or_refused(block: bytes) -> None:
    changed = bytearray(block)
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    outcome(bytes(changed) + FILE + END)  # and nothing but ``Failed`` is raised


@given(st.data())
def test_a_flipped_bit_in_a_header_is_seen_or_harmless(draw: st.DataObject) -> None:
    """In headers alone: a tar has no checksum over anything else."""
    files = {"a.csv": b"1" * 600, "b.csv": b"2"}
    data = bytearray(tar(files))
    header = draw.draw(st.sampled_from([0, 3 * 512]))
    bit = 8 * header + draw.draw(st.integers(0, 8 * 512 - 1))
    data[bit // 8] ^= 1 << bit % 8
    assert outcome(bytes(data)) in (files, Category.INTEGRITY)
