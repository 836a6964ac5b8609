"""What is done with a file on the server once it is stored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.provider import Disposition, DispositionAction
from octo_worker.failure import Failed
from octo_worker.sources.sftp import SftpFiles
from tests.support.sftp import PLAIN_USER, Inbox
from tests.support.sftp_source import listed, sftp_files
from tests.support.tcp_faults import Fault, proxied

DELETE = Disposition(action=DispositionAction.DELETE)


def move(to: str | Path) -> Disposition:
    return Disposition(action=DispositionAction.MOVE, move_to=str(to))


def source(inbox: Inbox, folder: Path, *, username: str = "octosftp", port: int | None = None) -> SftpFiles:
    return sftp_files(inbox.server, folder, paths=[f"{inbox.path}/in"], username=username, port=port)


async def dispose(files: SftpFiles, disposition: Disposition, name: str = "deep/a.csv") -> bool:
    async with files.session():
        return await files.dispose((await listed(files))[name], disposition)


async def test_none_leaves_it(inbox: Inbox, tmp_path: Path) -> None:
    path = inbox.put("in/deep/a.csv", b"1")
    assert not await dispose(source(inbox, tmp_path), Disposition())
    assert path.exists()


async def test_delete(inbox: Inbox, tmp_path: Path) -> None:
    path, other = inbox.put("in/deep/a.csv", b"1"), inbox.put("in/deep/b.csv", b"1")
    assert await dispose(source(inbox, tmp_path), DELETE)
    assert not path.exists()
    assert other.exists()


async def test_move_makes_the_folders(inbox: Inbox, tmp_path: Path) -> None:
    path = inbox.put("in/deep/a.csv", b"content")
    assert await dispose(source(inbox, tmp_path), move(inbox.path / "done" / "by-octo"))
    assert not path.exists()
    moved = inbox.path / "done" / "by-octo" / "deep" / "a.csv"
    assert moved.read_bytes() == b"content"
    assert moved.stat().st_mtime == 1_700_000_000


async def test_move_to_a_folder_below_the_user_home(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("in/deep/a.csv", b"content")
    below_home = inbox.path.relative_to(inbox.server.folder)
    assert await dispose(source(inbox, tmp_path), move(below_home / "done"))
    assert (inbox.path / "done" / "deep" / "a.csv").read_bytes() == b"content"


async def test_move_replaces_nothing(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("in/deep/a.csv", b"third")
    inbox.put("done/deep/a.csv", b"first")
    inbox.put("done/deep/a.csv.1", b"second")
    assert await dispose(source(inbox, tmp_path), move(inbox.path / "done"))
    names = {path.name: path.read_bytes() for path in (inbox.path / "done" / "deep").iterdir()}
    assert names == {"a.csv": b"first", "a.csv.1": b"second", "a.csv.2": b"third"}


@pytest.mark.parametrize("disposition", [DELETE, move("done")], ids=["delete", "move"])
@pytest.mark.parametrize("change", ["size", "time", "link", "gone"])
async def test_what_is_no_more_as_it_was_listed_is_left_alone(
    inbox: Inbox, tmp_path: Path, disposition: Disposition, change: str
) -> None:
    path, files = inbox.put("in/a.csv", b"12"), source(inbox, tmp_path)
    async with files.session():
        file = (await listed(files))["a.csv"]
        if change == "size":
            inbox.put("in/a.csv", b"123")
        elif change == "time":
            os.utime(path, (1_700_000_001, 1_700_000_001))
        else:
            path.unlink()
            if change == "link":
                inbox.put("elsewhere.csv", b"12")
                path.symlink_to("../elsewhere.csv")
        assert not await files.dispose(file, disposition)
    assert ("a.csv" in os.listdir(path.parent)) is (change != "gone")


@pytest.mark.parametrize("action", ["delete", "move"])
async def test_a_user_who_may_not(inbox: Inbox, tmp_path: Path, action: str) -> None:
    path = inbox.put("in/deep/a.csv", b"1")
    disposition = DELETE if action == "delete" else move(inbox.path / "done")
    with pytest.raises(Failed, match="Permission denied") as caught:
        await dispose(source(inbox, tmp_path, username=PLAIN_USER), disposition)
    assert caught.value.category is Category.AUTH
    assert path.exists()


async def test_move_to_what_is_no_folder(inbox: Inbox, tmp_path: Path) -> None:
    path = inbox.put("in/deep/a.csv", b"1")
    inbox.put("done", b"a file")
    with pytest.raises(Failed, match=r"moving to source\.sftp\.disposition\.moveTo") as caught:
        await dispose(source(inbox, tmp_path), move(inbox.path / "done"))
    assert caught.value.category is Category.CONFIG
    assert path.exists()


@pytest.mark.parametrize("action", ["delete", "move"])
async def test_a_connection_that_breaks_meanwhile(inbox: Inbox, tmp_path: Path, action: str) -> None:
    """Whether the request or its answer is lost: in the end it is done, and is said to be done."""
    disposition = DELETE if action == "delete" else move(inbox.path / "done")
    with proxied(inbox.server.port) as proxy:
        for direction in ("to_client", "to_server"):
            path = inbox.put("in/a.csv", b"1")
            await dispose(source(inbox, tmp_path, port=proxy.port), disposition, "a.csv")
            total = proxy.passed[direction]
            for back in range(0, 700, 36):
                path = inbox.put("in/a.csv", b"1")
                proxy.break_next(Fault(total - back, direction))
                assert await dispose(source(inbox, tmp_path, port=proxy.port), disposition, "a.csv")
                proxy.mend()
                assert not path.exists()
            proxy.passed[direction] = 0
    if action == "move":
        assert len(list((inbox.path / "done").iterdir())) == 42
