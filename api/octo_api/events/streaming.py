"""The answer that does not end: events as they come, for as long as the credential stands and the client reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from octo_api.auth.caller import Caller
from octo_api.events.feed import Bell, Feed
from octo_api.events.frames import MEDIA_TYPE, heartbeat, reconnect
from octo_api.events.sources import Source
from octo_api.streams import SEND_SECONDS, STREAM_HEADERS
from octo_core.domain.errors import DatabaseUnavailableError, OctoError

logger = logging.getLogger(__name__)

RETRY_MILLISECONDS = 2000
_TRUSTED_SECONDS = 50.0
"""How long a credential stands that cannot be checked again."""

Reauthenticate = Callable[[], Awaitable[Caller]]


class Standing:
    """Whether whoever opened a stream still may: their credential is checked again every so often."""

    def __init__(self, caller: Caller, check: Reauthenticate, *, every_seconds: float) -> None:
        self._caller = caller
        self._check = check
        self._every = every_seconds
        self._checked = asyncio.get_running_loop().time()

    async def holds(self) -> bool:
        """Whether the credential still stands for the same rights."""
        now = asyncio.get_running_loop().time()
        if now - self._checked < self._every:
            return True
        try:
            caller = await self._check()
        except OctoError as error:
            # A store that is away says nothing about the credential, for a while.
            return error.retryable and now - self._checked < _TRUSTED_SECONDS
        self._checked = now
        return caller == self._caller


class EventStream(Response):
    """Server-sent events of a source. Ends, with a word on when to come back, when the process drains."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        source: Source,
        feed: Feed,
        standing: Standing,
        *,
        run: str | None,
        heartbeat_seconds: float,
        retry_milliseconds: int = RETRY_MILLISECONDS,
    ) -> None:
        super().__init__(headers=STREAM_HEADERS)
        del self.headers["content-length"]
        self._source = source
        self._feed = feed
        self._standing = standing
        self._run = run
        self._heartbeat_seconds = heartbeat_seconds
        self._retry = reconnect(retry_milliseconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, until one of the two sides has had enough."""
        bell = self._feed.listen(run=self._run)
        gone = asyncio.create_task(_disconnect(receive))
        gone.add_done_callback(lambda _: bell.end())
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            # Says at once where to resume, also if the first event is long in coming.
            await _put(send, self._retry + heartbeat(self._source.resume_id))
            await self._follow(send, bell)
            if not gone.done():
                await _put(send, self._retry if self._feed.closed else b"", more=False)
        except TimeoutError:
            logger.info("a stream was cut off: its client does not read")
        finally:
            gone.cancel()
            self._feed.leave(bell)

    async def _follow(self, send: Send, bell: Bell) -> None:
        clock = asyncio.get_running_loop().time
        said = clock()
        try:
            while not bell.ended and await self._standing.holds():
                chunk = await self._source.take()
                if not chunk and not self._source.behind and clock() - said >= self._heartbeat_seconds:
                    chunk = heartbeat(self._source.resume_id)
                if chunk:
                    await _put(send, chunk)
                    said = clock()
                if self._source.done:
                    return
                if not self._source.behind:
                    await bell.heard(timeout=max(0.0, said + self._heartbeat_seconds - clock()))
        except DatabaseUnavailableError:
            # Ended rather than held: the client comes back, and learns by a 503 how things are.
            return


async def _put(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
