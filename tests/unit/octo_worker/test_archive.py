"""What tar and zip have in common: which names pass, and how members are read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed
from octo_worker.layout import ArchiveKind
from octo_worker.stages.archive import Member, members
from octo_worker.stages.archive.member import Names
from octo_worker.stages.archive.reader import Reader
from tests.support.samples import noise, pieces, tar, zipped

TAR, ZIP = ArchiveKind.TAR, ArchiveKind.ZIP
MAKE: dict[ArchiveKind, Callable[[dict[str, bytes]], bytes]] = {TAR: tar, ZIP: zipped}
both = pytest.mark.parametrize("kind", ArchiveKind)


def read(
    kind: ArchiveKind, data: bytes, step: int = 1000, limits: Unpack | None = None, source_size: int | None = None
) -> dict[str, bytes]:
    size = len(data) if source_size is None else source_size
    found = members(kind, pieces(data, step), limits or Unpack(), size)
    return {member.name: b"".join(member.chunks) for member in found}


_part = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\\:"), min_size=1)
_name = st.lists(_part.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join)
contents = st.dictionaries(_name, st.binary(max_size=2000), max_size=5)


@given(st.sampled_from(ArchiveKind), contents, st.integers(1, 3000))
def test_reads_what_was_written(kind: ArchiveKind, files: dict[str, bytes], step: int) -> None:
    assert read(kind, MAKE[kind](files), step) == files


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a.csv", "a.csv"),
        ("./a.csv", "a.csv"),
        ("d/a.csv", "d/a.csv"),
        ("..a/b..c", "..a/b..c"),
        ("12:30.csv", "12:30.csv"),
    ],
)
def test_names_that_pass(raw: str, expected: str) -> None:
    assert Names(Unpack()).accept(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "../a",
        "a/../b",
        "/a",
        ".//a",
        "a\\..\\b",
        "a\x1b[2J",
        "a\nb",
        "a/./b",
        "",
        "./",
        "c\udce9",
        "C:a",
        "./c:/a",
        "a/",
    ],
)
def test_names_that_do_not(raw: str) -> None:
    with pytest.raises(Failed, match=r"name .* refused") as caught:
        Names(Unpack()).accept(raw)
    assert caught.value.category is Category.INTEGRITY
    str(caught.value).encode()


def test_a_name_is_accepted_once() -> None:
    names = Names(Unpack())
    names.accept("a")
    with pytest.raises(Failed, match="two members are named 'a'"):
        names.accept("./a")


@both
def test_long_and_deep_names_are_limited(kind: ArchiveKind) -> None:
    limits = Unpack(max_depth=2, max_name_bytes=20)
    files = {"a/b/c.csv": b"1", "é" * 10: b"2"}
    assert read(kind, MAKE[kind](files), limits=limits) == files
    for name, limit in (("a/b/c/d.csv", "maxDepth"), ("é" * 10 + "x", "maxNameBytes"), ("n" * 5000, "maxNameBytes")):
        with pytest.raises(Failed, match=limit) as caught:
            read(kind, MAKE[kind]({name: b""}), limits=limits)
        assert caught.value.category is Category.UNPACK_LIMIT
        assert len(str(caught.value)) < 400


@both
def test_entries_are_limited(kind: ArchiveKind) -> None:
    data = MAKE[kind]({"a": b"1", "b": b"2", "c": b"3"})
    assert len(read(kind, data, limits=Unpack(max_entries=3))) == 3
    with pytest.raises(Failed, match="maxEntries") as caught:
        read(kind, data, limits=Unpack(max_entries=2))
    assert caught.value.category is Category.UNPACK_LIMIT


@both
def test_unread_members_are_passed_over(kind: ArchiveKind) -> None:
    files = {"a": noise(1, 5000), "b": noise(2, 5000), "c": noise(3, 5000)}
    found: list[Member] = []
    read_so_far: dict[str, bytes] = {}
    for member in members(kind, pieces(MAKE[kind](files), 700), Unpack(), 1):
        for earlier in found:
            assert not list(earlier.chunks), "what was passed over is gone"
        if member.name == "b":
            read_so_far["b"] = next(member.chunks)
            member.chunks.close()  # type: ignore[attr-defined]
        if member.name == "c":
            read_so_far["c"] = b"".join(member.chunks)
        found.append(member)
    assert [member.name for member in found] == ["a", "b", "c"]
    assert files["b"].startswith(read_so_far["b"])
    assert read_so_far["c"] == files["c"]


@both
def test_the_stream_is_read_to_its_own_end(kind: ArchiveKind) -> None:
    """What stands before this stage may know only there that the data is bad."""

    def ends_badly(data: bytes) -> object:
        yield data
        raise Failed(Category.DECRYPT, "the message is cut")

    data = MAKE[kind]({"a": b"1"})
    found = members(kind, ends_badly(data), Unpack(), len(data))  # type: ignore[arg-type]
    assert next(found).name == "a"
    with pytest.raises(Failed, match="message is cut"):
        next(found)


@both
@given(draw=st.data())
def test_no_cut_archive_ends_well(kind: ArchiveKind, draw: st.DataObject) -> None:
    data = MAKE[kind]({"a": noise(1, 700), "b": b"2" * 700})
    if kind is TAR:
        data = data.rstrip(b"\0")
        data += bytes(-len(data) % 512 + 1024)
    with pytest.raises(Failed, match=r"ends before|cut short") as caught:
        read(kind, data[: draw.draw(st.integers(0, len(data) - 1))])
    assert caught.value.category is Category.INTEGRITY


@both
def test_data_before_and_after_is_refused(kind: ArchiveKind) -> None:
    data = MAKE[kind]({"a": b"1" * 600})
    assert read(kind, data + bytes(10_240)) == read(kind, data), "padded as a tape is"
    for wrong in (b"", b"x" * 512 + data, data + b"x", data + bytes(512) + b"x", data + data):
        with pytest.raises(Failed, match="archive") as caught:
            read(kind, wrong)
        assert caught.value.category is Category.INTEGRITY


@both
def test_an_archive_of_nothing_is_one(kind: ArchiveKind) -> None:
    assert read(kind, MAKE[kind]({})) == {}


@both
def test_archives_inside_are_files(kind: ArchiveKind) -> None:
    inner = {"in.zip": zipped({"../x": b"1"}), "in.tar": tar({"/x": b"1"})}
    assert read(kind, MAKE[kind](inner)) == inner


@given(st.binary(max_size=300), st.data())
def test_the_reader_gives_what_came(data: bytes, draw: st.DataObject) -> None:
    reader = Reader(pieces(data, draw.draw(st.integers(1, 50))))
    taken = b""
    while True:
        part = draw.draw(st.sampled_from([reader.some, reader.up_to]))(draw.draw(st.integers(1, 100)))
        if not part:
            break
        back = draw.draw(st.integers(0, len(part) - 1))
        reader.unread(part[len(part) - back :])
        taken += part[: len(part) - back]
        assert reader.offset == len(taken)
    assert taken == data
