"""SFTP by asyncssh: pinned host keys, nothing taken from the user's ssh configuration or agent."""

from __future__ import annotations

import asyncio
import re
import stat as modes
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import cast

import asyncssh

from octo_core.domain.failure import Category
from octo_core.domain.provider import SftpSource as SftpSettings
from octo_core.domain.run import Run
from octo_worker.credentials import Secrets
from octo_worker.failure import ConnectionLostError, Failed, one_line
from octo_worker.sources import FileStat, RemoteFile, Source

MAX_CONNECTIONS = 4
"""OpenSSH gives a channel a 2 MiB window, so over a long way several connections are faster than one."""
CONNECT_TIMEOUT = 20
BLOCK = 128 << 10
BLOCKS_AHEAD = 16
MAX_DEPTH = 64
# GCM is several times cheaper here than chacha20 or ctr with a MAC; the others stay for servers without it.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class _Connection:
    """One SSH connection with its SFTP session."""

    def __init__(self, ssh: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient) -> None:
        self.ssh = ssh
        self.sftp = sftp
        self.readers = 0

    @property
    def alive(self) -> bool:
        return not self.ssh.is_closed()


class SftpFiles:
    """Files on an SFTP server; the built-in ``Source``."""

    def __init__(self, settings: SftpSettings, paths: tuple[str, ...], connections: int, secrets: Secrets) -> None:
        self._settings = settings
        self._paths = paths
        self._limit = max(1, min(MAX_CONNECTIONS, connections))
        self._secrets = secrets
        self._connections: list[_Connection] = []
        self._connecting = asyncio.Lock()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """Connect once, so that a refused login or host key fails the run; more connections come as needed."""
        try:
            self._connections.append(await self._connect())
            yield
        finally:
            for connection in self._connections:
                connection.ssh.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await asyncio.gather(*(c.ssh.wait_closed() for c in self._connections), return_exceptions=True)

    async def listing(self) -> AsyncIterator[RemoteFile]:
        """Regular files below the paths; links, devices and the rest are passed over."""
        connection = await self._least_busy()
        for root in self._paths:
            async for file in self._walk(connection.sftp, root):
                yield file

    async def _walk(self, sftp: asyncssh.SFTPClient, root: str) -> AsyncIterator[RemoteFile]:
        folders: deque[tuple[bytes, bytes, int]] = deque([(root.encode(), b"", 0)])
        while folders:
            path, below, depth = folders.popleft()
            if depth > MAX_DEPTH:
                raise Failed(Category.CONFIG, f"{_shown(path)}: more than {MAX_DEPTH} folders deep")
            try:
                # Names as bytes: one that is not UTF-8 must not break the listing.
                entries = [entry async for entry in sftp.scandir(path)]
            except (OSError, asyncssh.Error) as error:
                raise _translated(error, f"listing {_shown(path)}") from error
            for entry in sorted(entries, key=lambda entry: bytes(entry.filename)):  # type: ignore[arg-type]
                name = entry.filename if isinstance(entry.filename, bytes) else entry.filename.encode()
                if name in (b".", b".."):
                    continue
                child, child_below = _joined(path, name), _joined(below, name) if below else name
                mode = entry.attrs.permissions
                if None in (mode, entry.attrs.size, entry.attrs.mtime):
                    try:
                        entry.attrs = await sftp.lstat(child)
                    except (OSError, asyncssh.Error) as error:
                        raise _translated(error, f"listing {_shown(child)}") from error
                    mode = entry.attrs.permissions
                mode = mode or 0
                if modes.S_ISDIR(mode):
                    folders.append((child, child_below, depth + 1))
                elif modes.S_ISREG(mode):
                    yield _remote_file(child, below, name, entry.attrs)

    async def read(self, file: RemoteFile) -> AsyncGenerator[bytes]:
        """Requests are sent ahead and answered in order; a short answer is completed before the next one."""
        connection = await self._least_busy()
        connection.readers += 1
        try:
            # block_size 0: asyncssh's own parallel reader fills gaps with zeros and hides an early end.
            async with connection.sftp.open(file.path, "rb", block_size=0) as handle:
                async for block in _in_order(handle, file.stat.size):
                    yield block
        except (OSError, asyncssh.Error) as error:
            raise _translated(error, "reading", alive=connection.alive) from error
        finally:
            connection.readers -= 1

    async def stat(self, file: RemoteFile) -> FileStat:
        """By lstat, so that a file that became a link shows as changed."""
        connection = await self._least_busy()
        try:
            return _stat(await connection.sftp.lstat(file.path))
        except (OSError, asyncssh.Error) as error:
            raise _translated(error, "reading again", alive=connection.alive) from error

    async def _least_busy(self) -> _Connection:
        async with self._connecting:
            self._connections = [c for c in self._connections if c.alive]
            idle = min(self._connections, key=lambda c: c.readers, default=None)
            if idle is not None and (idle.readers == 0 or len(self._connections) >= self._limit):
                return idle
            try:
                connection = await self._connect()
            except Failed:
                # A server may allow fewer connections than we would like; what there is serves all.
                if idle is None:
                    raise
                self._limit = len(self._connections)
                return idle
            self._connections.append(connection)
            return connection

    async def _connect(self) -> _Connection:
        settings, where = self._settings, f"{self._settings.host}:{self._settings.port}"
        try:
            known_hosts = asyncssh.import_known_hosts("\n".join(settings.host_keys))
        except ValueError:
            raise Failed(Category.CONFIG, "source.sftp.hostKeys has a line that is not a known_hosts line") from None
        password = self._secrets.line("sftp", "password")
        async with AsyncExitStack() as undo:
            try:
                ssh = await asyncssh.connect(
                    settings.host,
                    settings.port,
                    username=settings.username,
                    password=password,
                    client_keys=self._client_keys() or None,
                    known_hosts=known_hosts,
                    config=None,
                    agent_path=None,
                    preferred_auth=("publickey", "password", "keyboard-interactive"),
                    encryption_algs=CIPHERS,
                    compression_algs=None,
                    connect_timeout=CONNECT_TIMEOUT,
                    login_timeout=CONNECT_TIMEOUT,
                    keepalive_interval=15,
                    keepalive_count_max=4,
                )
                undo.callback(ssh.abort)
                sftp = await ssh.start_sftp_client()
            except asyncssh.HostKeyNotVerifiable as error:
                raise Failed(
                    Category.HOST_KEY, f"the host key of {where} is not the pinned one: {one_line(error)}"
                ) from error
            except asyncssh.PermissionDenied as error:
                raise Failed(
                    Category.AUTH, f"{where} refused the login of {settings.username}: {one_line(error)}"
                ) from error
            except asyncssh.KeyExchangeFailed as error:
                # A server without any key of a pinned type never gets to show one.
                category = Category.HOST_KEY if "host key" in str(error).lower() else Category.REMOTE_UNAVAILABLE
                raise Failed(category, f"no key exchange with {where}: {one_line(error)}") from error
            except (OSError, asyncssh.Error) as error:
                raise ConnectionLostError(f"cannot connect to {where}: {one_line(error)}") from error
            undo.pop_all()
        return _Connection(ssh, sftp)

    def _client_keys(self) -> list[asyncssh.SSHKey]:
        pem = self._secrets.read("sftp", "privateKey")
        if pem is None:
            if self._secrets.read("sftp", "password") is None:
                raise Failed(Category.CONFIG, "the credentials Secret has neither password nor privateKey")
            return []
        try:
            return [asyncssh.import_private_key(pem, self._secrets.line("sftp", "passphrase"))]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            # Their texts may quote the key file.
            raise Failed(
                Category.AUTH, "privateKey of the credentials Secret cannot be read with its passphrase"
            ) from None


async def _in_order(handle: asyncssh.SFTPClientFile, size: int) -> AsyncGenerator[bytes]:
    pending: deque[tuple[int, int, asyncio.Task[bytes]]] = deque()
    asked = 0
    try:
        while asked < size or pending:
            while asked < size and len(pending) < BLOCKS_AHEAD:
                count = min(BLOCK, size - asked)
                pending.append((asked, count, asyncio.ensure_future(_block(handle, count, asked))))
                asked += count
            offset, count, task = pending.popleft()
            block = await task
            while block and len(block) < count:
                more = await _block(handle, count - len(block), offset + len(block))
                if not more:
                    break
                block += more
            if block:
                yield block
            if len(block) < count:
                return  # the file ends here; the caller counts
    finally:
        for _, _, task in pending:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in pending), return_exceptions=True)


async def _block(handle: asyncssh.SFTPClientFile, count: int, offset: int) -> bytes:
    return cast(bytes, await handle.read(count, offset))  # typed as text, but the file is open as binary


def _translated(error: Exception, doing: str, *, alive: bool = True) -> Failed:
    text = f"{doing}: {one_line(error)}"
    if isinstance(error, asyncssh.SFTPPermissionDenied):
        return Failed(Category.AUTH, text)
    if isinstance(error, (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.DisconnectError, OSError)):
        return ConnectionLostError(text)
    if isinstance(error, (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)):
        return Failed(Category.CONFIG if doing.startswith("listing") else Category.INTEGRITY, text)
    return Failed(Category.REMOTE_UNAVAILABLE, text) if alive else ConnectionLostError(text)


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + name if folder.endswith(b"/") else folder + b"/" + name


def _shown(raw: bytes) -> str:
    """A name as text that can stand in a log or a row, whatever bytes it is made of."""
    text = raw.decode("utf-8", "backslashreplace")
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _stat(attrs: asyncssh.SFTPAttrs) -> FileStat:
    regular = attrs.permissions is None or modes.S_ISREG(attrs.permissions)
    return FileStat(
        size=(attrs.size or 0) if regular else -1, modified_at=datetime.fromtimestamp(attrs.mtime or 0, tz=UTC)
    )


def _remote_file(path: bytes, folder: bytes, name: bytes, attrs: asyncssh.SFTPAttrs) -> RemoteFile:
    unusable = None
    try:
        if _UNPRINTABLE.search(path.decode()):
            unusable = "the name has a control character"
    except UnicodeDecodeError:
        unusable = "the name is not UTF-8"
    if len(path) > 4096:
        unusable = "the path is longer than 4096 bytes"
    return RemoteFile(_shown(path)[:4096], _shown(folder), _shown(name), _stat(attrs), unusable)


def open_source(run: Run, secrets: Secrets) -> Source:
    """Entry point ``sftp`` of the group ``octo.sources``."""
    if run.source is None:
        raise Failed(Category.CONFIG, "the run has no source.sftp")
    return SftpFiles(run.source.sftp, run.selection.paths, run.transfer.concurrent_files, secrets)
