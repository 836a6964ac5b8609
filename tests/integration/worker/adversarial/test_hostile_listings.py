"""What a server can have in its folders: odd names, things that are no files, and files that cannot be read."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from tests.integration.worker.adversarial.verdict import assert_only, assert_sound, failed
from tests.integration.worker.conftest import WorkerPod
from tests.support.samples import tar, zipped
from tests.support.sftp import PLAIN_USER, Inbox

CONFIG = {Category.CONFIG}
GOOD = {"csv/good.csv": b"1,2\n", "csv/sub/good.csv": b"3,4\n"}


@pytest.fixture
def good(inbox: Inbox) -> dict[str, bytes]:
    """Two files that must be stored whatever else there is."""
    inbox.put("good.csv", GOOD["csv/good.csv"])
    inbox.put("sub/good.csv", GOOD["csv/sub/good.csv"])
    return GOOD


def test_names_of_every_kind(pod: WorkerPod, inbox: Inbox, good: dict[str, bytes]) -> None:
    usable = (
        "-rf.csv",
        "--help",
        " leading and trailing .csv ",
        "two  spaces.csv",
        "a#b?c%d&e=f+g;h.csv",
        "per%cent%20%2e%2e.csv",
        "*[glob]{x}.csv",
        "quote'\"`$(id).csv",
        "ü-nfc.csv",
        "u\u0308-nfc.csv",
        "日本語.csv",
        "😀.csv",
        "...csv",
        ".hidden.csv",
        "~.csv",
        "CON",
        "a" * 251 + ".csv",
        "-sub/-rf.csv",
    )
    unusable = (
        b"line\nfeed.csv",
        b"return\r.csv",
        b"bell\x07.csv",
        b"escape\x1b[31m.csv",
        b"delete\x7f.csv",
        b"latin-\xe9.csv",
        b"surrogate-\xed\xa0\x80.csv",
        "next\x85line.csv".encode(),
        b"back\\slash.csv",
        b"..\\evil.csv",
    )
    stored = dict(good)
    for name in usable:
        inbox.put(name, name.encode())
        stored[f"{'csv' if name.endswith('.csv') else 'other'}/{name}"] = name.encode()
    for raw in unusable:
        (inbox.path / os.fsdecode(raw)).write_bytes(raw)

    ended = pod.run()

    assert len(failed(pod)) == len(unusable)
    assert_only(pod, ended, stored, dict.fromkeys(failed(pod), CONFIG))
    lines = pod.log().splitlines()
    assert all(line.startswith("{") and line.endswith("}") for line in lines), "no name breaks a line of the log"
    assert "\x1b" not in pod.log()


def test_paths_too_long_and_too_deep(pod: WorkerPod, inbox: Inbox, good: dict[str, bytes]) -> None:
    # The key would have more than S3's 1,024 bytes. Of names that it cannot put into a path, this server says nothing.
    with _deep(inbox.path, "k" * 200, 6), _deep(inbox.path, "p" * 250, 20), _deep(inbox.path, "d", 80):
        ended = pod.run()

    assert_sound(pod, ended)
    assert pod.data() == good
    assert set(failed(pod)) == {"deep.csv", "d"}
    assert set(failed(pod).values()) == CONFIG


def test_what_is_no_file_is_passed_over(pod: WorkerPod, inbox: Inbox, good: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_bytes(b"not for anyone")
    (inbox.path / "link.csv").symlink_to(inbox.path / "good.csv")
    (inbox.path / "out.csv").symlink_to(tmp_path / "outside" / "secret.csv")
    (inbox.path / "folder").symlink_to(tmp_path / "outside")
    (inbox.path / "loop").symlink_to(inbox.path)
    (inbox.path / "self.csv").symlink_to(inbox.path / "self.csv")
    (inbox.path / "nowhere.csv").symlink_to(inbox.path / "nothing")
    os.mkfifo(inbox.path / "fifo.csv")
    os.mknod(inbox.path / "zeros.csv", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(inbox.path / "disk.csv", stat.S_IFBLK | 0o600, os.makedev(7, 255))
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(inbox.path, os.O_RDONLY)
        try:
            listening.bind(f"/proc/self/fd/{here}/socket.csv")
        finally:
            os.close(here)
        ended = pod.run()

    assert_only(pod, ended, good, {})
    assert (ended.code, ended.outcome.progress.files_selected) == (0, 2)


def test_files_and_folders_that_cannot_be_read(pod: WorkerPod, inbox: Inbox, good: dict[str, bytes]) -> None:
    inbox.put("locked.csv", b"1").chmod(0)
    inbox.put("closed/inside.csv", b"2")
    inbox.put("blind/inside.csv", b"3")
    # One whose names can be listed, but of which nothing can be opened.
    (inbox.path / "closed").chmod(0)
    (inbox.path / "blind").chmod(0o744)
    pod.document["source"]["sftp"]["username"] = PLAIN_USER
    try:
        ended = pod.run()
    finally:
        (inbox.path / "closed").chmod(0o700)
        (inbox.path / "blind").chmod(0o700)

    assert_sound(pod, ended)
    assert pod.data() == good
    found = failed(pod)
    assert {"locked.csv", "closed"} <= set(found) <= {"locked.csv", "closed", "blind", "inside.csv"}
    assert set(found.values()) == {Category.AUTH}
    assert ended.code == 30


def test_empty_files_of_each_ending(pod: WorkerPod, inbox: Inbox) -> None:
    plain = ("csv", "pdf", "xml", "json")
    for ending in plain:
        inbox.put(f"empty.{ending}", b"")
    inbox.put("noending", b"")
    opened = ("gz", "bz2", "xz", "zst", "zip", "tar", "tgz", "tar.gz", "tar.bz2", "tar.xz", "tar.zst")
    encrypted = ("csv.gpg", "csv.pgp", "csv.asc", "csv.gz.gpg", "tar.gz.gpg", "zip.gpg")
    for number, ending in enumerate((*opened, *encrypted)):
        inbox.put(f"empty-{number}.{ending}", b"")
    bad = {f"empty-{n}.{ending}": {Category.INTEGRITY} for n, ending in enumerate(opened)}
    bad |= {
        f"empty-{n}.{ending}": {Category.INTEGRITY, Category.DECRYPT} for n, ending in enumerate(encrypted, len(opened))
    }

    assert_only(pod, pod.run(), {f"{ending}/empty.{ending}": b"" for ending in plain} | {"other/noending": b""}, bad)


def test_two_sources_with_one_key_are_errors_and_neither_wins(
    pod: WorkerPod, inbox: Inbox, good: dict[str, bytes]
) -> None:
    inbox.put("a.csv", b"1")
    inbox.put("a.csv.gz", gzip.compress(b"2"))
    inbox.put("b.csv.gz", gzip.compress(b"1"))
    inbox.put("b.csv.bz2", b"never looked at")
    inbox.put("pack.tar", tar({"x.csv": b"1"}))
    inbox.put("pack.zip", zipped({"y.csv": b"2"}))
    inbox.put("pack.tar.gz", gzip.compress(tar({"z.csv": b"2"})))

    names = ("a.csv", "a.csv.gz", "b.csv.gz", "b.csv.bz2", "pack.tar", "pack.zip", "pack.tar.gz")
    assert_only(pod, pod.run(), good, dict.fromkeys(names, CONFIG))


def test_members_do_not_take_the_place_of_others(pod: WorkerPod, inbox: Inbox, good: dict[str, bytes]) -> None:
    # A member and a file, and members of two archives in folders of each other's names.
    inbox.put("pack.tar", tar({"x.csv": b"from the archive", "own.csv": b"2"}))
    inbox.put("pack/x.csv", b"from the folder")
    inbox.put("deep.tar", tar({"er/y.csv": b"outer"}))
    inbox.put("deep/er.zip", zipped({"y.csv": b"inner"}))

    ended = pod.run()

    assert_sound(pod, ended)
    found, stored = failed(pod), pod.data()
    assert set(found.values()) == CONFIG
    for key, sources in {
        "csv/pack/x.csv": {"pack.tar": b"from the archive", "x.csv": b"from the folder"},
        "csv/deep/er/y.csv": {"deep.tar": b"outer", "er.zip": b"inner"},
    }.items():
        winners = {name: data for name, data in sources.items() if name not in found}
        assert len(winners) <= 1, "both sources of one key count as stored"
        assert stored.pop(key, None) == next(iter(winners.values()), None)
    assert set(stored) <= {*good, "csv/pack/own.csv"}
    assert ("csv/pack/own.csv" in stored) == ("pack.tar" not in found), "an archive is stored as a whole or not at all"

    again = pod.run(attempt=2)
    assert_sound(pod, again, 2)
    assert set(failed(pod, 2)) == set(found), "the loser stays one, however often it is tried"


@contextmanager
def _deep(root: Path, name: str, levels: int) -> Iterator[None]:
    """A file that many folders down, reached step by step, as no path can name it."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    file = os.open("deep.csv", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=here)
    os.write(file, b"1")
    os.close(file)
    os.close(here)
    try:
        yield
    finally:
        shutil.rmtree(root / name)
