"""Pages of events, and where a stream may begin."""

from __future__ import annotations

from octo_api.auth.caller import Caller
from octo_api.errors import CursorExpiredError, JobNotFoundError
from octo_api.events.feed import Feed
from octo_core.db import events, job_reads
from octo_core.db.events import Event, EventFilter, EventPage
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.domain.status import State


class EventService:
    """Reads of events, from Postgres, and from the window on the newest where that will do."""

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database = database
        self._feed = feed

    async def job(self, caller: Caller, uid: str) -> JobRecord:
        """The run whose events are wanted. Raises JobNotFoundError."""
        async with self._database.transaction() as session:
            record = await job_reads.get(session, uid)
        if record is None or not caller.may_use(record.namespace):
            raise JobNotFoundError(f"there is no job {uid}")
        return record

    async def of_job(self, uid: str, *, after: int, limit: int) -> list[Event]:
        """Events of a run in their order, behind sequence number ``after``."""
        async with self._database.transaction() as session:
            return await events.of_job(session, uid, after=after, limit=limit)

    async def start_of_job(self, record: JobRecord, after: int) -> int | None:
        """The sequence number to follow a run from, or None if nothing can come any more.

        Raises CursorExpiredError if the run has had no such event.
        """
        found = await self.of_job(record.uid, after=max(after - 1, 0), limit=2)
        if after > 0 and (not found or found[0].seq != after):
            raise CursorExpiredError("the run has no event of this id: it is from another one")
        more = any(event.seq is not None and event.seq > after for event in found)
        ended = State(record.state).terminal or record.deleted_at is not None
        return None if ended and not more else after

    async def start(self, after: int | None, *, default_to_head: bool) -> int:
        """The position to read on from: ``after`` if it is one, else the newest or the oldest event kept.

        Raises CursorExpiredError if events behind it are not kept any more, or it was never given out.
        """
        if after is None and default_to_head and self._feed.head is not None:
            return self._feed.head
        if after is not None and self._feed.covers(after):
            return after
        async with self._database.transaction() as session:
            bounds = await events.bounds(session)
        if after is None:
            return bounds.head if default_to_head else bounds.floor
        if after > bounds.head:
            raise CursorExpiredError("no event has this id yet: it is from another database, or from before a restore")
        # Zero asks for all there is, and nobody has missed what was before that.
        if 0 < after < bounds.floor:
            raise CursorExpiredError(f"events up to {bounds.floor} are not kept any more: read the jobs, then go on")
        return max(after, bounds.floor)

    async def page(self, wanted: EventFilter, *, after: int, limit: int) -> EventPage:
        """Events behind position ``after``, in their order."""
        async with self._database.transaction() as session:
            return await events.page(session, wanted, after=after, limit=limit)
