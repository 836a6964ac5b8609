"""What the tar reader lets through, held against the standard library's own writer."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed
from octo_worker.layout import NameRefusedError
from octo_worker.limits import EntryMeter
from octo_worker.stages.archive import TarReader, member_name


def make_tar(members: dict[str, bytes], format_: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


async def read(data: bytes, step: int = 1000, limits: Unpack | None = None) -> dict[str, bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), step):
            yield data[start : start + step]

    reader = TarReader(chunks(), EntryMeter(limits or Unpack()))
    return {member.name: b"".join([chunk async for chunk in reader.data()]) async for member in reader.members()}


_name = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\\"), min_size=1)
_members = st.dictionaries(_name.filter(lambda n: n not in (".", "..")), st.binary(max_size=2000), max_size=5)


@given(_members, st.integers(1, 3000), st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
async def test_reads_what_was_written(members: dict[str, bytes], step: int, format_: int) -> None:
    assert await read(make_tar(members, format_), step) == members


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
async def test_long_names(format_: int) -> None:
    members = {"d" * 90 + "/" + "n" * 120 + ".csv": b"1"}
    assert await read(make_tar(members, format_)) == members


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("a.csv", "a.csv"), ("./a.csv", "a.csv"), ("d/a.csv", "d/a.csv"), ("..a/b..c", "..a/b..c")],
)
def test_names_that_pass(raw: str, expected: str) -> None:
    assert member_name(raw) == expected


@pytest.mark.parametrize("raw", ["../a", "a/../b", "/a", ".//a", "a\\..\\b", "a\x1b[2J", "a/./b", "", "./", "c\udce9"])
def test_names_that_do_not(raw: str) -> None:
    with pytest.raises(NameRefusedError):
        member_name(raw)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
async def test_links_and_devices_refuse_the_archive(kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("x")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(Failed, match="not a regular file") as caught:
        await read(out.getvalue())
    assert caught.value.category is Category.INTEGRITY


async def test_folders_are_passed_over_but_counted() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("../anywhere")
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    assert await read(out.getvalue()) == {}
    with pytest.raises(Failed, match="maxEntries"):
        await read(out.getvalue(), limits=Unpack.model_construct(max_entries=0))


async def test_duplicates_damage_and_early_ends() -> None:
    one = make_tar({"a": b"1" * 600})
    with pytest.raises(Failed, match="two members"):
        await read(one[:1536] + one)
    with pytest.raises(Failed, match="ends before"):
        await read(one[:1536])
    with pytest.raises(Failed, match="ends before"):
        await read(one[:700])
    with pytest.raises(Failed, match="archive"):
        await read(b"x" * 512 + one)
