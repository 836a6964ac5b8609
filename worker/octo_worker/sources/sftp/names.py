"""Names on a server are bytes of any kind. What can be said of them, and whether they can be used."""

from __future__ import annotations

import re
import stat as modes

import asyncssh

from octo_worker.sources import FileStat, RemoteFile
from octo_worker.sources.sftp.connection import Connection
from octo_worker.sources.sftp.errors import is_missing

MAX_PATH_BYTES = 4096
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def joined(folder: bytes, name: bytes) -> bytes:
    """The path of a name in a folder; an empty folder is where one stands."""
    return folder + name if not folder or folder.endswith(b"/") else folder + b"/" + name


def shown(raw: bytes) -> str:
    """A name as text that can stand in a log or a row, whatever bytes it is made of."""
    text = raw.decode("utf-8", "backslashreplace")
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)[:MAX_PATH_BYTES]


def why_unusable(path: bytes, name: bytes) -> str | None:
    """Why a listed file cannot be taken by its name."""
    if len(path) > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    if b"/" in name:
        return "the name has a slash"
    try:
        return "the name has a control character" if _UNPRINTABLE.search(path.decode()) else None
    except UnicodeDecodeError:
        return "the name is not UTF-8"


def stat_of(attrs: asyncssh.SFTPAttrs) -> FileStat:
    """What is compared; size -1 for what is no regular file."""
    regular = attrs.permissions is None or modes.S_ISREG(attrs.permissions)
    return FileStat((attrs.size or 0) if regular else -1, attrs.mtime or 0)


def remote_file(path: bytes, folder: str, name: bytes, stat: FileStat) -> RemoteFile:
    """A listed file; ``folder`` as shown."""
    return RemoteFile(shown(path), folder, stat.size, stat.mtime, why_unusable(path, name))


async def find_file(connection: Connection, path: str) -> RemoteFile | None:
    """The regular file at a path, if there is one."""
    try:
        stat = await stat_file(connection, path)
    except asyncssh.SFTPError as error:
        if is_missing(error):
            return None
        raise
    return RemoteFile(path, "", stat.size, stat.mtime) if stat.size >= 0 else None


async def stat_file(connection: Connection, path: str | bytes) -> FileStat:
    """What the server says of a path now, itself and not what it links to."""
    return stat_of(await connection.ask(connection.sftp.lstat(path)))
