"""What a stream sends next: from the window on the newest events, or from Postgres where that does not reach."""

from __future__ import annotations

from typing import Protocol

from octo_api.events.feed import Feed
from octo_api.events.frames import frame
from octo_api.events.service import EventService
from octo_core.db.events import Event, EventFilter
from octo_core.domain.events import EventType

AT_ONCE = 200
"""Events in one piece, which bounds what a slow client has in memory."""


class Source(Protocol):
    """Where a stream is, and what follows."""

    @property
    def resume_id(self) -> int:
        """The id behind which the stream goes on."""

    @property
    def behind(self) -> bool:
        """Whether there is more to take at once."""

    @property
    def done(self) -> bool:
        """Whether nothing follows any more."""

    async def take(self) -> bytes:
        """The next events, in order; empty if there are none. Raises DatabaseUnavailableError."""


class AllEvents:
    """Events of all runs that a filter takes, by position."""

    def __init__(self, feed: Feed, service: EventService, wanted: EventFilter, *, after: int) -> None:
        self._feed = feed
        self._service = service
        self._wanted = wanted
        self.resume_id = after
        self.done = False

    @property
    def behind(self) -> bool:
        """Whether there is more to take at once."""
        return self._feed.head is not None and self.resume_id < self._feed.head

    async def take(self) -> bytes:
        """The next events."""
        entries = self._feed.since(self.resume_id, most=AT_ONCE)
        if entries is None:
            page = await self._service.page(self._wanted, after=self.resume_id, limit=AT_ONCE)
            self.resume_id = page.last
            return b"".join(frame(event, event.position) for event in page.items if event.position is not None)
        if entries:
            self.resume_id = entries[-1].position
        return b"".join(entry.sent for entry in entries if self._wanted.takes(entry.event))


class JobEvents:
    """Events of one run, by their sequence numbers, up to the one that ends the run."""

    def __init__(self, feed: Feed, service: EventService, uid: str, *, after: int) -> None:
        self._feed = feed
        self._service = service
        self._uid = uid
        self._place: int | None = None
        self.resume_id = after
        self.done = False

    @property
    def behind(self) -> bool:
        """Whether there is more to take at once."""
        return self._place is None or (self._feed.head or 0) > self._place

    async def take(self) -> bytes:
        """The next events."""
        entries = None if self._place is None else self._feed.since(self._place, most=AT_ONCE)
        if entries is None:
            return await self._from_postgres()
        if entries:
            self._place = entries[-1].position
        return self._frames([entry.event for entry in entries if entry.event.job_uid == self._uid])

    async def _from_postgres(self) -> bytes:
        # Taken before the rows are read: what they do not have yet gets a higher position later.
        place = self._feed.head or 0
        found = await self._service.of_job(self._uid, after=self.resume_id, limit=AT_ONCE)
        self._place = place if len(found) < AT_ONCE else None
        return self._frames(found)

    def _frames(self, events: list[Event]) -> bytes:
        out = []
        for event in events:
            if event.seq is None or event.seq <= self.resume_id or self.done:
                continue
            if event.seq > self.resume_id + 1:
                # Cannot be; should it ever, Postgres has what is missing.
                self._place = None
                break
            out.append(frame(event, event.seq))
            self.resume_id = event.seq
            self.done = EventType(event.type).ends_job if event.type in set(EventType) else False
        return b"".join(out)
