"""Moves or deletes a file on the server once all of it is stored elsewhere."""

from __future__ import annotations

import logging
import posixpath

import asyncssh

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources import RemoteFile
from octo_worker.sources.sftp.connection import Connection
from octo_worker.sources.sftp.errors import is_lost, is_missing, translating
from octo_worker.sources.sftp.names import stat_file

MAX_SAME_NAMES = 1000

log = logging.getLogger(__name__)


class Disposal:
    """Disposes of one file. ``run`` may be called again after a lost connection: what was asked for then may
    have been done, so that a file that is gone by then counts as disposed of."""

    def __init__(self, file: RemoteFile, move_to: str | None) -> None:
        self._file = file
        self._move_to = move_to
        self._asked = False
        self._doing = "moving to source.sftp.disposition.moveTo" if move_to else "deleting"

    async def run(self, connection: Connection) -> bool:
        """Whether it is done; False if the file is not as it was listed, and was left alone."""
        with translating(self._doing, missing=Category.CONFIG):
            return await self._dispose(connection)

    async def _dispose(self, connection: Connection) -> bool:
        sftp, path = connection.sftp, self._file.path
        try:
            now = await stat_file(connection, path)
        except asyncssh.SFTPError as error:
            if is_missing(error):
                return self._asked
            raise
        if now != self._file.stat:
            log.warning("the file changed and is left alone", extra={"path": path})
            return False
        self._asked = True
        if self._move_to is None:
            try:
                await connection.ask(sftp.remove(path))
            except asyncssh.SFTPError as error:
                if is_missing(error):
                    return False  # somebody else did it just now
                raise
        else:
            await self._move(connection, posixpath.join(self._move_to, self._file.below_root))
        return True

    async def _move(self, connection: Connection, target: str) -> None:
        """The plain rename of SFTP must not replace anything; posix-rename would. Not all servers keep to that,
        so it is looked first whether a name is free."""
        for number in range(MAX_SAME_NAMES):
            name = f"{target}.{number}" if number else target
            if await _exists(connection, name):
                continue
            try:
                await self._rename(connection, name)
            except asyncssh.SFTPError as error:
                if is_lost(error) or not await _exists(connection, name):
                    raise
                continue  # taken in between
            return
        raise Failed(Category.CONFIG, f"{target} and all its numbered names are taken")

    async def _rename(self, connection: Connection, target: str) -> None:
        try:
            await connection.ask(connection.sftp.rename(self._file.path, target))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            await _make_folders(connection, posixpath.dirname(target))
            await connection.ask(connection.sftp.rename(self._file.path, target))


async def _exists(connection: Connection, path: str) -> bool:
    try:
        await connection.ask(connection.sftp.lstat(path))
    except asyncssh.SFTPError as error:
        if is_missing(error):
            return False
        raise
    return True


async def _make_folders(connection: Connection, folder: str) -> None:
    """Make a folder and those above it; it does not matter who made one that is there."""
    if not folder or folder == "/" or await _exists(connection, folder):
        return
    await _make_folders(connection, posixpath.dirname(folder))
    try:
        await connection.ask(connection.sftp.mkdir(folder))
    except asyncssh.SFTPError:
        if not await _exists(connection, folder):
            raise
