from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from octo_worker.failure import ConnectionLostError
from octo_worker.sources import RemoteFile
from octo_worker.sources.sftp.listing import FOLDERS_AT_ONCE, Folder, Item, ItemStream, walked

ROOT = Folder(b"/in")


class Tree:
    """Folders ``<width>`` wide and ``<depth>`` deep with ``files`` in each, listed by a server that takes its time."""

    def __init__(self, width: int, depth: int, files: int = 1, broken: bytes | None = None) -> None:
        self.width, self.depth, self.files, self.broken = width, depth, files, broken
        self.now = self.most = self.given = 0

    async def list_one(self, folder: Folder, found: list[Folder]) -> ItemStream:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for number in range(self.files):
                await asyncio.sleep(0)
                self.given += 1
                yield RemoteFile(f"{folder.path.decode()}/{number}", folder.below.decode(), 1, 0)
            if folder.below == self.broken:
                raise ConnectionLostError("the connection broke")
            if folder.below.count(b"/") + bool(folder.below) < self.depth:
                inside = [b"%d" % number for number in range(self.width)]
                found.extend(Folder(folder.root, folder.below + b"/" + n if folder.below else n) for n in inside)
        finally:
            self.now -= 1

    async def walk(self) -> list[Item]:
        async with aclosing(walked(ROOT, self.list_one)) as items:
            return [item async for item in items]


@pytest.mark.parametrize(("width", "depth", "files"), [(0, 0, 0), (1, 0, 3), (1, 50, 1), (30, 2, 3), (3, 4, 600)])
async def test_everything_once(width: int, depth: int, files: int) -> None:
    tree = Tree(width, depth, files)
    paths = [item.path for item in await tree.walk()]
    folders = sum(width**level for level in range(depth + 1))
    assert len(paths) == len(set(paths)) == folders * files


async def test_some_folders_at_once() -> None:
    tree = Tree(20, 2)
    await tree.walk()
    assert tree.most == FOLDERS_AT_ONCE
    assert tree.now == 0


async def test_a_failure_ends_it() -> None:
    tree = Tree(20, 2, broken=b"3/4")
    with pytest.raises(ConnectionLostError):
        await tree.walk()
    assert tree.now == 0


async def test_little_is_listed_ahead_of_who_takes_it() -> None:
    tree = Tree(100, 1, files=1000)
    async with aclosing(walked(ROOT, tree.list_one)) as items:
        for _ in range(10):
            await anext(items)
        for _ in range(20_000):
            await asyncio.sleep(0)
        assert tree.given < 10_000
    assert tree.now == 0
