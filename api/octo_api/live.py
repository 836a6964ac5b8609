"""Answers that come bit by bit, for as long as a run takes: a log that is followed, a verification as it goes.

They last while their credential stands, their client reads and the process is not told to end. Then the connection is
cut, since an answer that ends in order has said all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from octo_api.auth.caller import Caller
from octo_api.errors import TooManyStreamsError
from octo_api.events.feed import Feed
from octo_api.events.streaming import Reauthenticate, Standing
from octo_api.streams import SEND_SECONDS, STREAM_HEADERS
from octo_core.domain.errors import UnauthenticatedError

logger = logging.getLogger(__name__)

Still = Callable[[], Awaitable[None]]
"""To be awaited every now and then; raises once the answer is to end."""


class LiveAnswers:
    """Those of a process."""

    def __init__(self, feed: Feed, *, most: int, check_seconds: float) -> None:
        self._feed = feed
        self._most = most
        self._check_seconds = check_seconds
        self.count = 0

    def begin(self, caller: Caller, again: Reauthenticate) -> Still:
        """What such an answer has to ask on its way. Raises TooManyStreamsError if there is no place for it."""
        if self._feed.closed or self.count >= self._most:
            raise TooManyStreamsError("This server takes no more streams at the moment; try again.")
        standing = Standing(caller, again, every_seconds=self._check_seconds)

        async def still() -> None:
            if self._feed.closed:
                raise TooManyStreamsError("this process is about to end")
            if not await standing.holds():
                raise UnauthenticatedError("the credential of this answer stands no more")

        return still

    def answer(
        self,
        content: AsyncIterator[str] | AsyncIterator[bytes],
        *,
        status: int = 200,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> LiveAnswer:
        """The answer itself; its place is taken from when it is sent."""
        return LiveAnswer(content, self, status=status, media_type=media_type, headers=headers or {})


class LiveAnswer(StreamingResponse):
    """Cut off if its client takes nothing for a while."""

    def __init__(
        self,
        content: AsyncIterator[str] | AsyncIterator[bytes],
        all_of_them: LiveAnswers,
        *,
        status: int,
        media_type: str,
        headers: Mapping[str, str],
        send_seconds: float = SEND_SECONDS,
    ) -> None:
        super().__init__(content, status, headers={**STREAM_HEADERS, **headers}, media_type=media_type)
        self._all = all_of_them
        self._send_seconds = send_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, holding a place among those of the process."""
        self._all.count += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._all.count -= 1

    async def stream_response(self, send: Send) -> None:
        """Send it bit by bit."""
        late = False

        async def patient(message: Message) -> None:
            nonlocal late
            try:
                async with asyncio.timeout(self._send_seconds):
                    await send(message)
            except TimeoutError:
                late = True
                raise

        try:
            await super().stream_response(patient)
        except TimeoutError:
            if not late:
                raise
            logger.info("an answer was cut off: its client does not read")
