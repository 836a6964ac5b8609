"""Lists folders as a stream: what is held is one answer of the server, and the folders still to be listed."""

from __future__ import annotations

import asyncio
import logging
import posixpath
import stat as modes
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import asyncssh

from octo_core.domain.failure import Category
from octo_worker.sources import RemoteFile, Unreadable
from octo_worker.sources.sftp.connection import Connection
from octo_worker.sources.sftp.errors import ERRORS, is_lost, is_missing, translated
from octo_worker.sources.sftp.names import MAX_PATH_BYTES, joined, remote_file, shown, stat_file, stat_of

MAX_DEPTH = 64
STATS_AT_ONCE = 32
FOLDERS_AT_ONCE = 8
"""Over a long way, most of the time of a listing is spent waiting."""
_ENTRIES_AT_ONCE = 256
_BATCHES_AHEAD = 8

Item = RemoteFile | Unreadable
ItemStream = AsyncGenerator[Item]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder still to be listed."""

    root: bytes
    below: bytes = b""

    @property
    def path(self) -> bytes:
        """Its path on the server."""
        return joined(self.root, self.below) if self.below else self.root

    def why_not(self) -> str | None:
        """Why it is not even asked for."""
        if self.below.count(b"/") >= MAX_DEPTH:
            return f"more than {MAX_DEPTH} folders deep"
        if len(self.path) > MAX_PATH_BYTES:
            return f"the path is longer than {MAX_PATH_BYTES} bytes"
        return None


async def walked(root: Folder, list_one: Callable[[Folder, list[Folder]], ItemStream]) -> ItemStream:
    """What all folders from the root down hold, several of them listed at a time. ``list_one`` gives what one holds,
    and adds the folders in it to a list; what it raises ends the walk."""
    to_list, tasks, running = [root], set[asyncio.Task[None]](), 0
    # A batch, or at the end of a folder whether it failed.
    batches: asyncio.Queue[list[Item] | Exception | None] = asyncio.Queue(_BATCHES_AHEAD)

    async def list_folder_of(folder: Folder) -> None:
        try:
            async with aclosing(list_one(folder, to_list)) as items:
                batch: list[Item] = []
                async for item in items:
                    batch.append(item)
                    if len(batch) == _ENTRIES_AT_ONCE:
                        await batches.put(batch)
                        batch = []
            await batches.put(batch)
        except Exception as error:  # noqa: BLE001 - raised again below
            await batches.put(error)
        else:
            await batches.put(None)

    try:
        while to_list or running:
            while to_list and running < FOLDERS_AT_ONCE:
                # The last one first: deep before wide, so that few are waiting.
                task = asyncio.ensure_future(list_folder_of(to_list.pop()))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                running += 1
            batch = await batches.get()
            if isinstance(batch, list):
                for item in batch:
                    yield item
            elif batch is not None:
                raise batch
            else:
                running -= 1
    finally:
        unfinished = list(tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)


async def list_folder(connection: Connection, folder: Folder, found: list[Folder]) -> ItemStream:
    """The files of one folder; the folders in it are added to ``found``. Raises ``Failed`` only for a listed root
    and for a lost connection."""
    if why := folder.why_not():
        yield _unreadable(folder, Category.CONFIG, why)
        return
    path, shown_below = folder.path, shown(folder.below)
    try:
        async with aclosing(_entries(connection, path)) as entries:
            async for name, attrs in entries:
                child = joined(path, name)
                mode = attrs.permissions or 0
                if modes.S_ISREG(mode):
                    yield remote_file(child, shown_below, name, stat_of(attrs))
                elif modes.S_ISDIR(mode) and b"/" not in name:
                    found.append(Folder(folder.root, joined(folder.below, name)))
    except ERRORS as error:
        if is_lost(error) or not folder.below:
            raise translated(error, f"listing {shown(path)}", missing=Category.CONFIG) from error
        if is_missing(error):
            log.info("a folder went away while it was listed", extra={"path": shown(path)})
        else:
            failure = translated(error, "the folder cannot be listed")
            yield _unreadable(folder, failure.category, failure.detail)


async def _entries(connection: Connection, path: bytes) -> AsyncGenerator[tuple[bytes, asyncssh.SFTPAttrs]]:
    """What a folder holds, but for links, with attributes that tell type, size and time."""
    # Names as bytes: one that is not UTF-8 must not break the listing.
    scan = connection.sftp.scandir(path)
    try:
        while batch := await connection.ask_apart(_some(scan)):
            for entry in batch:
                name = entry.filename if isinstance(entry.filename, bytes) else entry.filename.encode()
                # A server that follows links in its answer still tells them in the text of ls.
                if name in (b"", b".", b"..") or bytes(entry.longname or b"")[:1] == b"l":  # type: ignore[arg-type]
                    continue
                attrs = entry.attrs
                if None in (attrs.permissions, attrs.size, attrs.mtime):
                    attrs = await connection.ask(connection.sftp.lstat(joined(path, name)))
                yield name, attrs
    finally:
        connection.later(_ended(scan))


async def _some(scan: AsyncIterator[asyncssh.SFTPName]) -> list[asyncssh.SFTPName]:
    entries = []
    async for entry in scan:
        entries.append(entry)
        if len(entries) == _ENTRIES_AT_ONCE:
            break
    return entries


async def _ended(scan: AsyncIterator[asyncssh.SFTPName]) -> None:
    if isinstance(scan, AsyncGenerator):
        await scan.aclose()


def _unreadable(folder: Folder, category: Category, message: str) -> Unreadable:
    return Unreadable(shown(folder.path), shown(folder.below), category, message)


async def stat_files(connection: Connection, roots: tuple[str, ...], paths: tuple[str, ...]) -> list[Item]:
    """The named files as a listing would have them, without one."""
    return await asyncio.gather(*(_stat_file(connection, roots, path) for path in paths))


async def _stat_file(connection: Connection, roots: tuple[str, ...], path: str) -> Item:
    place = placed(path, roots)
    if place is None:
        return Unreadable(path, path, Category.CONFIG, "is not below a listed path of the provider")
    listed, below = place
    try:
        stat = await stat_file(connection, listed)
    except ERRORS as error:
        if is_lost(error):
            raise
        if is_missing(error):
            return Unreadable(path, below, Category.CONFIG, "no such file")
        failure = translated(error, "the file cannot be looked at")
        return Unreadable(path, below, failure.category, failure.detail)
    if stat.size < 0:
        return Unreadable(path, below, Category.CONFIG, "is not a regular file")
    folder, _, name = below.rpartition("/")
    return remote_file(listed, shown(folder.encode()), name.encode(), stat)


def placed(path: str, roots: tuple[str, ...]) -> tuple[bytes, str] | None:
    """A path as a listing of the roots gives it, and that below its root; None for one outside of all."""
    if path != posixpath.normpath(path) and path != f"./{posixpath.normpath(path)}":
        return None
    for root in roots:
        start = joined(root.encode(), b"").decode()
        start = start if start.endswith("/") else f"{start}/"
        if path.startswith(start):
            return path.encode(), path.removeprefix(start)
        if start == "./" and not path.startswith(("/", "../")):
            return f"./{path}".encode(), path
    return None
