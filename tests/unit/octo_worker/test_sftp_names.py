from __future__ import annotations

import sys

import pytest

from octo_worker.sources import FileStat, RemoteFile
from octo_worker.sources.sftp.listing import Folder, placed
from octo_worker.sources.sftp.names import joined, remote_file, shown, why_unusable


def test_a_remote_file_is_small() -> None:
    """A run holds all that it may take, which may be 100,000."""
    path = b"/home/provider/outgoing/2026/11/statement-000123.csv.gz.gpg"
    file = remote_file(path, "2026/11", b"statement-000123.csv.gz.gpg", FileStat(123_456_789, 1_700_000_000))
    own = (file, file.path, file.size, file.mtime)
    assert sum(sys.getsizeof(part) for part in own) <= 350
    assert not hasattr(file, "__dict__")


def test_parts_of_a_path() -> None:
    file = RemoteFile("/in/2026/a.csv", "2026", 3, 1_700_000_000)
    assert (file.name, file.below_root) == ("a.csv", "2026/a.csv")
    assert RemoteFile("./a.csv", "", 3, 0).below_root == "a.csv"
    assert file.modified_at.isoformat() == "2023-11-14T22:13:20+00:00"


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [(b"", b"a", b"a"), (b"/", b"a", b"/a"), (b".", b"a", b"./a"), (b"in/", b"a", b"in/a"), (b"in", b"a", b"in/a")],
)
def test_joined(folder: bytes, name: bytes, path: bytes) -> None:
    assert joined(folder, name) == path


def test_shown_is_always_printable() -> None:
    assert shown(b"a\n\x00\xff\xc2\x85") == "a\\x0a\\x00\\xff\\x85"
    assert len(shown(b"\xff" * 5000)) == 4096


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"a.csv", None),
        ("ü".encode(), None),
        (b"a\nb", "the name has a control character"),
        (b"\xff", "the name is not UTF-8"),
        (b"../../etc/passwd", "the name has a slash"),
        (b"n" * 5000, "the path is longer than 4096 bytes"),
    ],
)
def test_why_unusable(name: bytes, why: str | None) -> None:
    assert why_unusable(joined(b"/in", name), name) == why


def test_folders_that_are_not_asked_for() -> None:
    assert Folder(b"/in").why_not() is None
    assert Folder(b"/in", b"/".join([b"d"] * 64)).why_not() is None
    assert Folder(b"/in", b"/".join([b"d"] * 65)).why_not() == "more than 64 folders deep"
    assert Folder(b"/in", b"n" * 5000).why_not() == "the path is longer than 4096 bytes"


@pytest.mark.parametrize(
    ("path", "roots", "place"),
    [
        ("/in/a", ("/in",), (b"/in/a", "a")),
        ("/in/b/a", ("/other", "/in/"), (b"/in/b/a", "b/a")),
        ("/in/b/a", ("/in/b", "/in"), (b"/in/b/a", "a")),
        ("/a", ("/",), (b"/a", "a")),
        ("a/b", (".",), (b"./a/b", "a/b")),
        ("./a/b", (".",), (b"./a/b", "a/b")),
        ("in/a", ("in",), (b"in/a", "a")),
        ("/input/a", ("/in",), None),
        ("/in", ("/in",), None),
        ("/in/../etc/passwd", ("/in",), None),
        ("/in//a", ("/in",), None),
        ("../a", (".",), None),
        ("/a", (".",), None),
    ],
)
def test_placed(path: str, roots: tuple[str, ...], place: tuple[bytes, str] | None) -> None:
    assert placed(path, roots) == place
