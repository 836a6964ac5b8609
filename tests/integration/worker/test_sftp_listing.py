"""Listings of a real OpenSSH server: large, odd, forbidden and changing ones."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources import RemoteFile, Unreadable
from octo_worker.sources.sftp import SftpFiles
from tests.support.sftp import PLAIN_USER, Inbox, serving
from tests.support.sftp_source import listed, sftp_files, unreadable
from tests.support.tcp_faults import Fault, proxied


def source(inbox: Inbox, folder: Path, **settings: Any) -> SftpFiles:
    given: dict[str, Any] = {"paths": [str(inbox.path)], **settings}
    return sftp_files(inbox.server, folder, **given)


async def test_files_with_their_facts(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("a.csv", b"12345", modified_at=1_600_000_000)
    inbox.put("deep/er/b.csv", b"")
    files = source(inbox, tmp_path)
    async with files.session():
        found = await listed(files)
        assert set(found) == {"a.csv", "deep/er/b.csv"}
        file = found["a.csv"]
        assert (file.path, file.folder, file.name) == (f"{inbox.path}/a.csv", "", "a.csv")
        assert (file.size, file.modified_at) == (5, datetime.fromtimestamp(1_600_000_000, tz=UTC))
        assert file.stat == await files.stat(file)
        assert (found["deep/er/b.csv"].folder, found["deep/er/b.csv"].name) == ("deep/er", "b.csv")


async def test_only_regular_files_and_no_links(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("folder/a.csv", b"1")
    (inbox.path / "loop").symlink_to(inbox.path)
    (inbox.path / "folder" / "up").symlink_to("..")
    (inbox.path / "link.csv").symlink_to("folder/a.csv")
    (inbox.path / "nowhere").symlink_to("missing")
    os.mkfifo(inbox.path / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(inbox.path / "socket"))
    files = source(inbox, tmp_path)
    async with files.session():
        assert set(await listed(files)) == {"folder/a.csv"}


async def test_relative_and_several_roots(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("one/a.csv", b"1")
    inbox.put("two/b.csv", b"1")
    below_home = inbox.path.relative_to(inbox.server.folder)
    files = source(inbox, tmp_path, paths=[f"{below_home}/one", f"{inbox.path}/two/"])
    async with files.session():
        found = await listed(files)
        assert found["a.csv"].path == f"{below_home}/one/a.csv"
        assert found["b.csv"].path == f"{inbox.path}/two/b.csv"


class TestLarge:
    """One hundred thousand files in a thousand folders."""

    FOLDERS, EACH = 1000, 100

    @pytest.fixture
    def many(self, inbox: Inbox) -> Iterator[Inbox]:
        for folder in range(self.FOLDERS):
            path = inbox.path / f"day-{folder:04}"
            path.mkdir()
            (first := path / "statement-0000.csv.gz.gpg").touch()
            for number in range(1, self.EACH):
                # Links take no inodes, and are quickly made and removed.
                os.link(first, path / f"statement-{number:04}.csv.gz.gpg")
        yield inbox
        shutil.rmtree(inbox.path)

    async def test_memory_is_bounded(self, many: Inbox, tmp_path: Path) -> None:
        files, count, before = source(many, tmp_path), 0, 0
        async with files.session(), aclosing(files.listing()) as items:
            async for _ in items:
                count += 1
                if count == 10_000:
                    before = resident()
            grown = resident() - before
        assert count == self.FOLDERS * self.EACH
        assert grown < 8 << 20  # kept, 90,000 files would be more than 20 MiB

    async def test_one_folder(self, inbox: Inbox, tmp_path: Path) -> None:
        first = inbox.put("0", b"x")
        for number in range(1, 10_000):
            os.link(first, inbox.path / str(number))
        files = source(inbox, tmp_path)
        async with files.session():
            assert set(await listed(files)) == {str(number) for number in range(10_000)}


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def without_rights(path: Path) -> Iterator[None]:
    """Close a folder to everyone but root."""
    path.chmod(0o700)
    try:
        yield
    finally:
        path.chmod(0o755)


class TestForbidden:
    async def test_a_folder_is_told_and_the_others_are_listed(self, inbox: Inbox, tmp_path: Path) -> None:
        inbox.put("open/a.csv", b"1")
        inbox.put("shut/b.csv", b"1")
        inbox.put("shut/er/c.csv", b"1")
        files = source(inbox, tmp_path, username=PLAIN_USER)
        with without_rights(inbox.path / "shut"):
            async with files.session():
                items = [item async for item in files.listing()]
        assert [item.path for item in items if isinstance(item, RemoteFile)] == [f"{inbox.path}/open/a.csv"]
        assert [item for item in items if isinstance(item, Unreadable)] == [
            Unreadable(f"{inbox.path}/shut", "shut", Category.AUTH, "the folder cannot be listed: Permission denied")
        ]

    async def test_the_root_fails_the_run(self, inbox: Inbox, tmp_path: Path) -> None:
        files = source(inbox, tmp_path, username=PLAIN_USER)
        with without_rights(inbox.path):
            async with files.session():
                with pytest.raises(Failed, match="Permission denied") as caught:
                    await listed(files)
        assert caught.value.category is Category.AUTH

    async def test_a_file_that_may_not_be_read_is_listed(self, inbox: Inbox, tmp_path: Path) -> None:
        inbox.put("a.csv", b"1").chmod(0o600)
        files = source(inbox, tmp_path, username=PLAIN_USER)
        async with files.session():
            file = (await listed(files))["a.csv"]
            with pytest.raises(Failed, match="reading: Permission denied") as caught:
                _ = [block async for block in files.read(file)]
        assert caught.value.category is Category.AUTH


async def test_a_missing_root_fails_the_run(inbox: Inbox, tmp_path: Path) -> None:
    files = source(inbox, tmp_path, paths=[f"{inbox.path}/missing"])
    async with files.session():
        with pytest.raises(Failed, match="missing: No such file") as caught:
            await listed(files)
    assert caught.value.category is Category.CONFIG


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"new\nline", "the name has a control character"),
        (b"bell\x07", "the name has a control character"),
        ("\x85".encode(), "the name has a control character"),
        (b"latin-\xe9", "the name is not UTF-8"),
    ],
)
async def test_unusable_names(inbox: Inbox, tmp_path: Path, name: bytes, why: str) -> None:
    for path in (os.fsencode(inbox.path) + b"/" + name, os.fsencode(inbox.path) + b"/f-" + name + b"/inside.csv"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mknod(path)
    inbox.put("good ü.csv", b"1")
    files = source(inbox, tmp_path)
    async with files.session():
        found = await listed(files)
    assert len(found) == 3
    assert found.pop("good ü.csv").unusable is None
    for file in found.values():
        assert file.unusable == why
        assert file.path.isprintable()


async def test_paths_longer_than_the_server_itself_can_name(inbox: Inbox, tmp_path: Path) -> None:
    """OpenSSH leaves them out of its answer; they must not disturb the rest."""
    inbox.put("good.csv", b"1")
    name = "n" * 250
    at = os.open(inbox.path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.mknod("deep.csv", dir_fd=at)
    os.close(at)
    files = source(inbox, tmp_path)
    async with files.session():
        assert set(await listed(files)) == {"good.csv"}


async def test_too_many_folders_deep(inbox: Inbox, tmp_path: Path) -> None:
    deep = "/".join(str(number % 10) for number in range(66))
    inbox.put(f"{deep}/below.csv", b"1")
    inbox.put("above.csv", b"1")
    files = source(inbox, tmp_path)
    async with files.session():
        (found,) = (await unreadable(files)).values()
    assert (found.category, found.message) == (Category.CONFIG, "more than 64 folders deep")


async def test_a_folder_that_goes_away_is_passed_over(inbox: Inbox, tmp_path: Path) -> None:
    deep = inbox.path
    for number in range(30):
        deep = deep / f"{number}"
        inbox.put(f"{deep.relative_to(inbox.path)}/a.csv", b"1")
    inbox.put("other/b.csv", b"1")
    files = source(inbox, tmp_path)
    async with files.session(), aclosing(files.listing()) as items:
        found = {(await anext(items)).below_root}
        # Far below what has been asked for by now, as nothing was taken of what came.
        gone = inbox.path / "/".join(str(number) for number in range(20))
        shutil.rmtree(gone)
        found |= {item.below_root async for item in items}
    above = {"/".join([*(str(number) for number in range(depth)), "a.csv"]) for depth in range(1, 20)}
    assert found == above | {"other/b.csv"}


class TestBrokenConnection:
    async def test_every_file_is_found_all_the_same(self, inbox: Inbox, tmp_path: Path) -> None:
        for folder in range(20):
            for number in range(200):
                inbox.put(f"{folder}/{number}.csv", b"1")
        with proxied(inbox.server.port) as proxy:
            files = source(inbox, tmp_path, port=proxy.port, attempts=5)
            proxy.break_next(*(Fault(after=after) for after in (60_000, 5_000, 150_000, 90_000)))
            async with files.session():
                found = await listed(files)
            assert proxy.accepted == 5
        assert len(found) == 4000

    async def test_a_server_that_is_gone(self, inbox: Inbox, tmp_path: Path) -> None:
        for folder in range(30):
            inbox.put(f"{folder}/a.csv", b"1")
        with proxied(inbox.server.port) as proxy:
            files = source(inbox, tmp_path, port=proxy.port)
            async with files.session(), aclosing(files.listing()) as items:
                await anext(items)
                proxy.refuse()
                proxy.cut()
                with pytest.raises(Failed) as caught:
                    _ = [item async for item in items]
        assert caught.value.category is Category.REMOTE_UNAVAILABLE


class TestExplicit:
    async def test_named_files_are_found_without_a_listing(self, inbox: Inbox, tmp_path: Path) -> None:
        wanted = inbox.put("deep/a.csv", b"123")
        inbox.put("deep/b.csv", b"1")
        files = source(inbox, tmp_path, files=[str(wanted)])
        async with files.session():
            assert await listed(files) == {
                "deep/a.csv": RemoteFile(str(wanted), "deep", 3, 1_700_000_000),
            }

    @pytest.mark.parametrize("asked", ["in/a.csv", "./in/a.csv"])
    async def test_as_a_listing_has_them(self, tmp_path: Path, asked: str) -> None:
        with serving() as server:
            inbox = Inbox(server, server.folder)
            inbox.put("in/a.csv", b"1")
            everything = source(inbox, tmp_path, paths=["."])
            one = source(inbox, tmp_path, paths=["."], files=[asked])
            async with everything.session(), one.session():
                assert list((await listed(one)).values()) == [(await listed(everything))["in/a.csv"]]

    async def test_what_cannot_be_had(self, inbox: Inbox, tmp_path: Path) -> None:
        inbox.put("folder/a.csv", b"1")
        inbox.put("shut/b.csv", b"1")
        (inbox.path / "link").symlink_to("folder/a.csv")
        names = ["missing", "folder", "link", "shut/b.csv", "../up", "folder/../folder/a.csv"]
        files = source(inbox, tmp_path, files=[f"{inbox.path}/{name}" for name in names], username=PLAIN_USER)
        with without_rights(inbox.path / "shut"):
            async with files.session():
                found = {item.path.removeprefix(f"{inbox.path}/"): item for item in (await unreadable(files)).values()}
        assert {name: (item.category, item.message) for name, item in found.items()} == {
            "missing": (Category.CONFIG, "no such file"),
            "folder": (Category.CONFIG, "is not a regular file"),
            "link": (Category.CONFIG, "is not a regular file"),
            "shut/b.csv": (Category.AUTH, "the file cannot be looked at: Permission denied"),
            "../up": (Category.CONFIG, "is not below a listed path of the provider"),
            "folder/../folder/a.csv": (Category.CONFIG, "is not below a listed path of the provider"),
        }

    async def test_more_than_are_asked_for_at_once(self, inbox: Inbox, tmp_path: Path) -> None:
        names = [str(inbox.put(f"{number}.csv", b"1")) for number in range(100)]
        files = source(inbox, tmp_path, files=names)
        async with files.session():
            assert {file.path for file in (await listed(files)).values()} == set(names)


@pytest.mark.parametrize("way", ["absolute", "relative", "through a link"])
async def test_files_that_were_moved_once_done_are_not_listed(inbox: Inbox, tmp_path: Path, way: str) -> None:
    inbox.put("a.csv", b"1")
    inbox.put("done/b.csv", b"1")
    inbox.put("done-not/c.csv", b"1")
    done = f"{inbox.path}/done"
    if way == "relative":
        done = str(Path(done).relative_to(inbox.server.folder))
    elif way == "through a link":
        (inbox.path / "link").symlink_to("done")
        done = f"{inbox.path}/link"
    files = source(inbox, tmp_path, disposition={"action": "Move", "moveTo": done})
    async with files.session():
        assert set(await listed(files)) == {"a.csv", "done-not/c.csv"}
