"""Keys follow from names, stay below their prefix, and tell different files apart."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from octo_core.domain.provider import OpenPgpMode, UnpackMode
from octo_worker import layout
from octo_worker.layout import ArchiveKind, Compression, NameRefusedError, Opening

AUTO, NEVER = OpenPgpMode.AUTO, OpenPgpMode.NEVER
GZIP, BZIP2, XZ, ZSTD = Compression.GZIP, Compression.BZIP2, Compression.XZ, Compression.ZSTD
TAR, ZIP = ArchiveKind.TAR, ArchiveKind.ZIP


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", Opening(False, None, None, "a.csv")),
        ("a.csv.gpg", Opening(True, None, None, "a.csv")),
        ("a.csv.gz.pgp", Opening(True, GZIP, None, "a.csv")),
        ("A.CSV.GZ.GPG", Opening(True, GZIP, None, "A.CSV")),
        ("a.tar.gz.asc", Opening(True, GZIP, TAR, "a")),
        ("a.tgz", Opening(False, GZIP, TAR, "a")),
        ("a.tar", Opening(False, None, TAR, "a")),
        ("a.tar.bz2", Opening(False, BZIP2, TAR, "a")),
        ("a.tar.XZ.gpg", Opening(True, XZ, TAR, "a")),
        ("a.tar.zst", Opening(False, ZSTD, TAR, "a")),
        ("a.tbz2", Opening(False, BZIP2, TAR, "a")),
        ("a.tbz", Opening(False, BZIP2, TAR, "a")),
        ("a.txz", Opening(False, XZ, TAR, "a")),
        ("a.tzst", Opening(False, ZSTD, TAR, "a")),
        ("a.csv.bz2", Opening(False, BZIP2, None, "a.csv")),
        ("a.csv.xz", Opening(False, XZ, None, "a.csv")),
        ("a.csv.zst.gpg", Opening(True, ZSTD, None, "a.csv")),
        ("a.ZIP", Opening(False, None, ZIP, "a")),
        ("a.zip.pgp", Opening(True, None, ZIP, "a")),
        ("a.zip.gz", Opening(False, GZIP, None, "a.zip")),
        ("a.tar.zip", Opening(False, None, ZIP, "a.tar")),
        (".tar.gz", Opening(False, GZIP, None, ".tar")),
        ("azip", Opening(False, None, None, "azip")),
        ("a.gz.gz", Opening(False, GZIP, None, "a.gz")),
        (".gpg", Opening(False, None, None, ".gpg")),
        (".gz", Opening(False, None, None, ".gz")),
        ("a.gpg.gz", Opening(False, GZIP, None, "a.gpg")),
    ],
)
def test_opening_by_name(name: str, expected: Opening) -> None:
    assert layout.opening(name, AUTO, UnpackMode.AUTO) == expected


def test_opening_by_mode() -> None:
    assert layout.opening("a.tar.gz.gpg", NEVER, UnpackMode.AUTO) == Opening(False, None, None, "a.tar.gz.gpg")
    assert layout.opening("a.tar.gz.gpg", AUTO, UnpackMode.NEVER) == Opening(True, None, None, "a.tar.gz")
    with pytest.raises(NameRefusedError, match="Required"):
        layout.opening("a.csv", OpenPgpMode.REQUIRED, UnpackMode.AUTO)


def test_keys() -> None:
    assert layout.object_key("p/q", "daily", "a.CSV") == "p/q/data/csv/daily/a.CSV"
    assert layout.object_key("", "", "noending") == "data/other/noending"
    assert layout.member_key("p", "d", "pack", "in/x.pdf") == "p/data/pdf/d/pack/in/x.pdf"
    assert layout.marker_key("p", "d", "pack.tar.gz.gpg") == "p/archives/d/pack.tar.gz.gpg.json"
    assert layout.manifest_key("", "nightly", 2) == "manifests/nightly/2.jsonl"


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "/etc/passwd", "a/../b", "a//b", "a/", "./a", "a\\b", "a\nb", "a\x00", "a\x7f", "a\x85", "\udce9"],
)
def test_paths_that_no_object_may_have(path: str) -> None:
    with pytest.raises(NameRefusedError):
        layout.check_path(path)


def test_a_key_that_s3_would_not_take_is_refused() -> None:
    assert len(layout.object_key("", "", "é" * 506).encode()) <= layout.MAX_KEY_BYTES
    with pytest.raises(NameRefusedError, match="1024"):
        layout.object_key("", "", "é" * 510)


_part = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_path = st.lists(_part, max_size=3).map("/".join)


@given(_path, _part, _path, _part)
def test_different_files_have_different_keys(folder: str, stem: str, other_folder: str, other_stem: str) -> None:
    assume((folder, stem) != (other_folder, other_stem))
    try:
        first = layout.object_key("p", folder, stem)
        second = layout.object_key("p", other_folder, other_stem)
    except NameRefusedError:
        return
    # A slash within a stem is not a name on any server; check_path cannot know, the listing does.
    if "/" not in stem + other_stem:
        assert first != second


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=40))
def test_no_name_leaves_the_prefix(folder: str, stem: str, member: str) -> None:
    try:
        key = layout.member_key("bank", folder, stem, member)
    except NameRefusedError:
        return
    parts = key.split("/")
    assert parts[:2] == ["bank", "data"]
    assert not {"", ".", ".."} & set(parts)
    assert key.endswith(f"/{member}")
    assert key.isprintable() or not any(ord(c) < 32 for c in key)
