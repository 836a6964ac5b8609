"""The source of type ``sftp``."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TypeVar

import asyncssh

from octo_core.domain.failure import Category
from octo_core.domain.provider import Disposition, DispositionAction
from octo_core.domain.run import Run
from octo_core.domain.selection import SelectionPolicy
from octo_worker.credentials import Secrets
from octo_worker.failure import ConnectionLostError, Failed
from octo_worker.sources import FileStat, RemoteFile, Source
from octo_worker.sources.sftp.connection import Connection, Connections, Timings
from octo_worker.sources.sftp.dialing import Dialer
from octo_worker.sources.sftp.disposal import Disposal
from octo_worker.sources.sftp.errors import is_lost, translating
from octo_worker.sources.sftp.host_keys import pinned
from octo_worker.sources.sftp.listing import STATS_AT_ONCE, Folder, ItemStream, list_folder, stat_files, walked
from octo_worker.sources.sftp.login import login_of
from octo_worker.sources.sftp.names import find_file, stat_file
from octo_worker.sources.sftp.reading import blocks
from octo_worker.sources.tries import Tries

T = TypeVar("T")


class SftpFiles:
    """Files on an SFTP server; the built-in ``Source``."""

    def __init__(self, run: Run, secrets: Secrets, timings: Timings | None = None) -> None:
        if run.source is None:
            raise Failed(Category.CONFIG, "the run has no source.sftp")
        settings = run.source.sftp
        self._run = run
        self._settings = settings
        self._timings = timings or Timings()
        dialer = Dialer(
            pinned(settings.host, settings.port, settings.host_keys),
            login_of(settings.username, secrets),
            self._timings,
        )
        self._connections = Connections(dialer, min(settings.max_connections, run.transfer.concurrent_files))

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """Connect once, so that a refused login or host key fails the run; more connections come as needed."""
        try:
            await self._persistently(_nothing, "connecting")
            yield
        finally:
            await self._connections.close()

    async def listing(self) -> ItemStream:
        """Files below the paths, or those named; links, devices and the rest are passed over."""
        selection = self._run.selection
        if selection.policy is SelectionPolicy.EXPLICIT:
            for start in range(0, len(selection.files), STATS_AT_ONCE):
                some = selection.files[start : start + STATS_AT_ONCE]
                look = partial(stat_files, roots=selection.paths, paths=some)
                for item in await self._persistently(look, "listing"):
                    yield item
            return
        for root in selection.paths:
            aside = await self._persistently(partial(self._put_aside, root=root), "listing")
            async with aclosing(walked(Folder(root.encode()), partial(self._list, aside=aside))) as items:
                async for item in items:
                    yield item

    async def read(self, file: RemoteFile, tries: Tries | None = None) -> AsyncGenerator[bytes]:
        """See ``Source.read``."""
        tries, done = tries or self._tries(), 0
        while True:
            try:
                with translating("reading"):
                    async with self._connections.lease() as connection:
                        if done and await stat_file(connection, file.path) != file.stat:
                            raise Failed(Category.INTEGRITY, "the file changed while it was read")
                        async with aclosing(blocks(connection, file.path, done, file.size)) as parts:
                            async for part in parts:
                                done += len(part)
                                yield part
            except ConnectionLostError as error:
                await tries.again(error)
            else:
                return

    async def stat(self, file: RemoteFile, tries: Tries | None = None) -> FileStat:
        """By lstat, so that a file that became a link shows as changed."""
        return await self._persistently(partial(stat_file, path=file.path), "looking at the file again", tries)

    async def find(self, path: str, tries: Tries | None = None) -> RemoteFile | None:
        """See ``Source.find``."""
        return await self._persistently(partial(find_file, path=path), "looking for a file", tries)

    async def dispose(self, file: RemoteFile, disposition: Disposition, tries: Tries | None = None) -> bool:
        """See ``Source.dispose``. A file that is moved where one of its name is gets a number: ``<name>.1``."""
        if disposition.action is DispositionAction.NONE:
            return False
        return await self._persistently(Disposal(file, disposition.move_to).run, "disposing", tries)

    def _tries(self) -> Tries:
        return Tries(self._run.transfer.max_attempts_per_file, self._timings.backoff_seconds)

    async def _persistently(
        self, request: Callable[[Connection], Awaitable[T]], doing: str, tries: Tries | None = None
    ) -> T:
        tries = tries or self._tries()
        while True:
            try:
                with translating(doing):
                    async with self._connections.lease() as connection:
                        return await request(connection)
            except ConnectionLostError as error:
                await tries.again(error)

    async def _list(self, folder: Folder, found: list[Folder], aside: bytes | None) -> ItemStream:
        """One folder. Those in it are found once it was listed to its end, however often that takes."""
        tries = self._tries()
        while True:
            inside: list[Folder] = []
            try:
                async with (
                    self._connections.lease(share=True) as connection,
                    aclosing(list_folder(connection, folder, inside)) as items,
                ):
                    async for item in items:
                        yield item
            except ConnectionLostError as error:
                await tries.again(error)
            else:
                found.extend(child for child in inside if child.below != aside)
                return

    async def _put_aside(self, connection: Connection, root: str) -> bytes | None:
        """Where below a root the files lie that were moved there once they were done; they are not taken again."""
        move_to = self._settings.disposition.move_to
        if move_to is None:
            return None
        start, place = [await _real_path(connection, path) for path in (root, move_to)]
        start = start if start.endswith(b"/") else start + b"/"
        return place.removeprefix(start) if place.startswith(start) else None


async def _nothing(connection: Connection) -> None:
    """For the sake of the connection."""


async def _real_path(connection: Connection, path: str) -> bytes:
    """Absolute and without links, as far as the server tells: it need not, of a folder that is not there yet."""
    for known in (path, "."):
        try:
            real = await connection.ask(connection.sftp.realpath(known.encode()))
        except asyncssh.SFTPError as error:
            if is_lost(error):
                raise
            continue
        rest = b"" if known == path else path.encode()
        return posixpath.normpath(posixpath.join(real, rest))
    return posixpath.normpath(path.encode())


def open_source(run: Run, secrets: Secrets) -> Source:
    """Entry point ``sftp`` of the group ``octo.sources``."""
    return SftpFiles(run, secrets)
