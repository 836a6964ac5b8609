"""Follows the order of events in Postgres for all streams of this process, and helps to make it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from octo_api.events.feed import Feed
from octo_core.db import event_order, events
from octo_core.db.events import EventFilter
from octo_core.db.session import Database
from octo_core.domain.errors import OctoError

logger = logging.getLogger(__name__)

_PAGE = 500
_EVERYTHING = EventFilter()
POLL_SECONDS = 1.0
"""How often to look though nobody told of anything."""
_COALESCE_SECONDS = 0.05
"""The least time between two looks, so that a burst wakes each stream a few times and not a thousand."""
_RETRY_SECONDS = 1.0


class Tailer:
    """One for each process. Any number of processes put the events in order together."""

    def __init__(
        self,
        database: Database,
        feed: Feed,
        *,
        clock: Callable[[], datetime],
        kept: timedelta,
        advanced: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._feed = feed
        self._clock = clock
        self._kept = kept
        self._advanced = advanced
        self._wake = asyncio.Event()
        self._failing = False

    def hint(self) -> None:
        """There may be new events."""
        self._wake.set()

    async def run(self) -> None:
        """Follow, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await asyncio.sleep(_COALESCE_SECONDS if await self._look() else _RETRY_SECONDS)

    async def expire(self) -> None:
        """Raise the floor over events that are older than they are kept. Raises DatabaseUnavailableError."""
        floor = -1
        while True:
            async with self._database.transaction() as session:
                bounds = await events.expire(session, older_than=self._clock() - self._kept)
            if bounds.floor == floor:
                return
            floor = bounds.floor

    async def step(self) -> None:
        """Give positions to what has none, and show the streams what is new. Raises DatabaseUnavailableError."""
        full = True
        while full:
            async with self._database.transaction() as session:
                given = await event_order.advance(session)
            if given.deliveries:
                self._advanced()
            await self._read()
            # What is committed after a batch that was not full is told of.
            full = given.events == events.SEQUENCE_BATCH

    async def _look(self) -> bool:
        try:
            await self.step()
        except OctoError as error:
            if not self._failing:
                logger.warning("events are not followed, will try again", extra={"cause": error.detail})
            self._failing = True
        except Exception:
            # Nobody awaits this task: what escapes here would end all streams' news in silence.
            logger.exception("events are not followed, will try again")
            self._failing = True
        else:
            self._failing = False
        return not self._failing

    async def _read(self) -> None:
        async with self._database.reading() as session:
            bounds = await events.bounds(session)
        if self._feed.head is None or bounds.head < self._feed.head or not self._feed.streams:
            # The start; or another database than before, restored from a backup; or nobody to read it for: a stream
            # that begins before this reads from Postgres.
            self._feed.start(bounds.head)
        while (self._feed.head or 0) < bounds.head:
            after = self._feed.head or 0
            async with self._database.transaction() as session:
                page = await events.page(session, _EVERYTHING, after=after, limit=_PAGE)
            if not page.items:
                # Their runs were removed meanwhile.
                self._feed.start(page.last)
            else:
                await self._feed.ring(self._feed.add(page.items))
