"""An SFTP server that says what no honest one would: names that are paths, sizes that are not so, endless folders."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

ROOT = b"/inbox"
MTIME = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in the folder, what is said of it, and what it gives."""

    name: bytes
    data: bytes = b""
    size: int | None = None
    """What is said to be its size, if that is not so."""
    mtime: int = MTIME
    mode: int = stat.S_IFREG | 0o644
    at_once: int = 1 << 20
    """The most bytes that are given by one answer."""
    beyond: bytes = b""
    """Given on top of each answer, though nobody has asked for it."""

    def attributes(self) -> asyncssh.SFTPAttrs:
        """As the protocol has them."""
        size = len(self.data) if self.size is None else self.size
        return asyncssh.SFTPAttrs(
            type=asyncssh.FILEXFER_TYPE_REGULAR if stat.S_ISREG(self.mode) else asyncssh.FILEXFER_TYPE_DIRECTORY,
            size=size,
            uid=0,
            gid=0,
            permissions=self.mode,
            atime=self.mtime,
            mtime=self.mtime,
        )


@dataclass(slots=True)
class Hostile:
    """What the server is made to say."""

    port: int
    host_key: str
    entries: list[Entry] = field(default_factory=list)
    """Of the one folder there is; every folder in it has the same ones, without end."""


def _server(hostile: Hostile) -> type[asyncssh.SFTPServer]:
    def entry(path: bytes) -> Entry:
        for found in hostile.entries:
            if path.rpartition(b"/")[2] == found.name or path == ROOT + b"/" + found.name:
                return found
        raise asyncssh.SFTPNoSuchFile("no such file")

    class Server(asyncssh.SFTPServer):
        async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
            for each in hostile.entries:
                yield asyncssh.SFTPName(each.name, attrs=each.attributes())

        def realpath(self, path: bytes) -> bytes:
            return path

        def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
            if path.rstrip(b"/") == ROOT:
                return Entry(ROOT, mode=stat.S_IFDIR | 0o755).attributes()
            return entry(path).attributes()

        stat = lstat

        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            return entry(path)

        def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
            assert isinstance(file_obj, Entry)
            return file_obj.attributes()

        def read(self, file_obj: object, offset: int, size: int) -> bytes:
            assert isinstance(file_obj, Entry)
            given = file_obj.data[offset : offset + min(size, file_obj.at_once)]
            if not given:
                raise asyncssh.SFTPEOFError
            return given + file_obj.beyond

        def close(self, file_obj: object) -> None:
            pass

    return Server


class _Open(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@contextmanager
def hostile_server() -> Iterator[Hostile]:
    """A running one, that lets everybody in."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    public = " ".join(key.export_public_key().decode().split()[:2])
    hostile = Hostile(0, public)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> Any:
        factory = _server(hostile)
        return await asyncssh.listen("127.0.0.1", 0, server_factory=_Open, server_host_keys=[key], sftp_factory=factory)

    async def end(server: Any) -> None:
        server.close()
        await server.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(20)
    hostile.port = server.sockets[0].getsockname()[1]
    try:
        yield hostile
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
