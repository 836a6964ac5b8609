"""SSH connections with their SFTP sessions: as many as are needed and allowed, and none that has gone silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncssh

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources.sftp.errors import ERRORS, is_lost

T = TypeVar("T")

ASK_AGAIN_SECONDS = 60.0
"""After a server refused one more connection beside those it has."""
_TICKS = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timings:
    """How long to wait for a server."""

    connect_seconds: float = 20.0
    """From the name look-up to the open SFTP session."""
    stall_seconds: float = 60.0
    """A connection on which requests get no answer for this long counts as broken."""
    backoff_seconds: float = 1.0
    """Base of the waits before another connection is tried."""


class Connection:
    """One SSH connection with its SFTP session. Requests go through ``ask``, which sees when it is dead.

    ssh's own keepalive tells that the way to the server is open. It does not tell of a server whose file
    system hangs: sshd answers it while the SFTP session waits. So answers to requests are watched too.
    """

    def __init__(self, ssh: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient, stall_seconds: float) -> None:
        self.sftp = sftp
        self.users = 0
        self._ssh = ssh
        self._stall_seconds = stall_seconds
        self._gone = False
        self._asked = 0
        self._answered = False
        self._silent_ticks = 0
        self._background: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(stall_seconds / _TICKS, self._tick)

    @property
    def alive(self) -> bool:
        """Whether it is of use."""
        return not self._gone and not self._ssh.is_closed()

    async def ask(self, request: Awaitable[T]) -> T:
        """The answer to a request. When the connection is aborted for its silence, the request fails with it."""
        self._asked += 1
        try:
            answer = await request
        except ERRORS as error:
            self._answered = True
            if is_lost(error) or not self.alive:
                self.abort()
                raise asyncssh.SFTPConnectionLost(self._why(error)) from error
            raise
        else:
            self._answered = True
            return answer
        finally:
            self._asked -= 1

    async def ask_apart(self, request: Coroutine[Any, Any, T]) -> T:
        """Like ``ask``, for a request that, when it is cancelled, has more to ask of the server before it ends."""
        task = asyncio.ensure_future(self.ask(request))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            self._keep(task)
            raise

    def later(self, request: Coroutine[Any, Any, object]) -> None:
        """Ask for something whose answer matters to nobody, such as to close a file."""
        self._keep(asyncio.ensure_future(self.ask(request)))

    def abort(self) -> None:
        """Break it off; whoever still waits for an answer gets an error."""
        self._gone = True
        self._timer.cancel()
        self._ssh.abort()

    async def closed(self) -> None:
        """Wait until an aborted connection is no more."""
        await asyncio.gather(self._ssh.wait_closed(), *self._background, return_exceptions=True)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._background.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # seen, and of no interest

    def _why(self, error: Exception) -> str:
        silent = self._silent_ticks >= _TICKS
        return f"no answer for {self._stall_seconds:g} s" if silent else str(error)

    def _tick(self) -> None:
        # Ticks are counted, not seconds, so that a process that was itself held up does not blame the server.
        self._silent_ticks = self._silent_ticks + 1 if self._asked and not self._answered else 0
        self._answered = False
        if self._silent_ticks >= _TICKS:
            self.abort()
        else:
            self._timer = self._loop.call_later(self._stall_seconds / _TICKS, self._tick)


class Connections:
    """The connections of a run. A new one is opened while all are in use, up to the limit; then they are shared."""

    def __init__(self, dial: Callable[[], Awaitable[Connection]], limit: int) -> None:
        self._dial = dial
        self._limit = limit
        self._open: list[Connection] = []
        self._first = asyncio.Lock()
        self._dialing = 0
        self._refused_until = 0.0

    @asynccontextmanager
    async def lease(self, *, share: bool = False) -> AsyncIterator[Connection]:
        """The least busy connection; no further one is opened for the sake of a use that would ``share``."""
        connection = await self._least_busy(share)
        connection.users += 1
        try:
            yield connection
        finally:
            connection.users -= 1

    async def close(self) -> None:
        """Break all off."""
        for connection in self._open:
            connection.abort()
        try:
            async with asyncio.timeout(2):
                await asyncio.gather(*(connection.closed() for connection in self._open))
        except TimeoutError:
            log.warning("connections did not close in time")
        self._open = []

    async def _least_busy(self, share: bool) -> Connection:
        async with self._first:
            # While there is none, one at a time: a server that refuses the login is not asked by all at once.
            best = self._best()
            if best is None:
                connection = await self._dial()
                self._open.append(connection)
                return connection
        if share or not self._wants_more(best):
            return best
        self._dialing += 1
        try:
            connection = await self._dial()
        except Failed as error:
            # A server may allow fewer connections than we would like.
            best = self._best()
            if best is None or error.category is Category.HOST_KEY:
                raise
            self._refused_until = asyncio.get_running_loop().time() + ASK_AGAIN_SECONDS
            log.info("no further connection", extra={"open": len(self._open), "why": error.detail})
            return best
        finally:
            self._dialing -= 1
        self._open.append(connection)
        return connection

    def _best(self) -> Connection | None:
        self._open = [connection for connection in self._open if connection.alive]
        return min(self._open, key=lambda connection: connection.users, default=None)

    def _wants_more(self, best: Connection) -> bool:
        refused = asyncio.get_running_loop().time() < self._refused_until
        return best.users > 0 and len(self._open) + self._dialing < self._limit and not refused
