"""SQL on ``events``: written with what they tell of, put in one order afterwards, read from any place on.

A transaction that takes its number first may commit last, so no number that a writer takes can be a place to
resume from. Rows are therefore written without a position. ``sequence`` gives positions to rows that are
committed, under the lock of the one row that holds the last position given. Hence, for any reader: all positions
up to ``head`` are there when ``head`` is, none is added below it later, and within a run they follow ``seq``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import EventPositionsRow, EventRow, JobRow

CHANNEL = "octo_events"
"""Notified when events were committed, and again when they got their positions."""

SEQUENCE_BATCH = 1000
SCAN = 20_000
"""How many positions one page looks through at most, however few of them it wants."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to write; of a run it has ``provider``, ``job_uid`` and ``seq``, gapless within the run."""

    namespace: str
    type: str
    at: datetime
    data: dict[str, Any]
    provider: str | None = None
    job_uid: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it was written; ``position`` is None for a moment after that."""

    position: int | None
    namespace: str
    type: str
    at: datetime
    data: dict[str, Any]
    provider: str | None
    job_uid: str | None
    job_name: str | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted; None means any."""

    namespaces: Collection[str] | None = None
    provider: str | None = None
    types: Collection[str] | None = None
    job_uid: str | None = None

    def takes(self, event: Event) -> bool:
        """Whether the event is wanted; the same as in SQL."""
        return (
            (self.namespaces is None or event.namespace in self.namespaces)
            and (self.provider is None or event.provider == self.provider)
            and (self.types is None or event.type in self.types)
            and (self.job_uid is None or event.job_uid == self.job_uid)
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which positions events can be read: behind ``floor``, up to ``head``."""

    floor: int
    head: int


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in their order; ``last`` is where to go on, also when the page is empty, and ``more`` whether to."""

    items: list[Event]
    last: int
    more: bool


async def append(session: AsyncSession, events: Iterable[NewEvent]) -> None:
    """Write events, in the transaction that changes what they tell of."""
    rows = [asdict(event) for event in events]
    if rows:
        await session.execute(insert(EventRow), rows)
        # Told at the commit, once for each transaction.
        await session.execute(select(func.pg_notify(CHANNEL, "")))


_GIVE_POSITIONS = text(
    """
    UPDATE events SET position = :head + waiting.place
    FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS place
        FROM (SELECT id FROM events WHERE position IS NULL ORDER BY id LIMIT :most) AS first
    ) AS waiting
    WHERE events.id = waiting.id
    """
)


async def sequence(session: AsyncSession, *, most: int = SEQUENCE_BATCH) -> Bounds | None:
    """Give the next positions to committed events; the new ones are in (floor, head] of what is returned.

    None if there is nothing to do, or another process is doing it. To be the only thing in its transaction, at
    isolation READ COMMITTED: the update must see what is committed once the lock is held.
    """
    if not await session.scalar(select(exists().where(EventRow.position.is_(None)))):
        return None
    head = await session.scalar(select(EventPositionsRow.head).with_for_update(skip_locked=True))
    if head is None:
        return None
    given = await session.execute(_GIVE_POSITIONS, {"head": head, "most": most})
    count: int = given.rowcount  # type: ignore[attr-defined] # an UPDATE has it, its type does not say so
    if not count:
        return None
    await session.execute(update(EventPositionsRow).values(head=head + count))
    await session.execute(select(func.pg_notify(CHANNEL, "")))
    return Bounds(head, head + count)


async def bounds(session: AsyncSession) -> Bounds:
    """Which positions can be read."""
    row = (await session.execute(select(EventPositionsRow.floor, EventPositionsRow.head))).one()
    return Bounds(row.floor, row.head)


async def page(session: AsyncSession, wanted: EventFilter, *, after: int, limit: int, scan: int = SCAN) -> EventPage:
    """Events behind position ``after``, at most ``limit``, found among the next ``scan`` positions."""
    # Read first: what is up to it stays as it is.
    head = (await bounds(session)).head
    upper = min(after + scan, head)
    statement = _events().where(EventRow.position > after, EventRow.position <= upper)
    if wanted.namespaces is not None:
        statement = statement.where(EventRow.namespace.in_(wanted.namespaces))
    if wanted.provider is not None:
        statement = statement.where(EventRow.provider == wanted.provider)
    if wanted.types is not None:
        statement = statement.where(EventRow.type.in_(wanted.types))
    if wanted.job_uid is not None:
        statement = statement.where(EventRow.job_uid == wanted.job_uid)
    rows = await session.execute(statement.order_by(EventRow.position).limit(limit))
    items = [Event(*row) for row in rows]
    last = items[-1].position if len(items) == limit else None
    last = max(upper, after) if last is None else last
    return EventPage(items, last, more=last < head)


async def at(session: AsyncSession, position: int) -> Event | None:
    """The event of that position, or None if its run was removed."""
    row = (await session.execute(_events().where(EventRow.position == position))).one_or_none()
    return None if row is None else Event(*row)


async def of_job(session: AsyncSession, uid: str, *, after: int, limit: int) -> list[Event]:
    """Events of a run in their order, behind ``after``, with or without a position."""
    rows = await session.execute(
        _events().where(EventRow.job_uid == uid, EventRow.seq > after).order_by(EventRow.seq).limit(limit)
    )
    return [Event(*row) for row in rows]


async def expire(session: AsyncSession, *, older_than: datetime, scan: int = SCAN) -> Bounds:
    """Raise the floor over events that happened before then; those of runs stay part of the run's history.

    Looks through at most ``scan`` positions; returns the bounds as they are now.
    """
    held = (await session.execute(select(EventPositionsRow.floor, EventPositionsRow.head).with_for_update())).one()
    following = (
        select(EventRow.position, EventRow.at)
        .where(EventRow.position > held.floor)
        .order_by(EventRow.position)
        .limit(scan)
        .subquery()
    )
    young = await session.scalar(select(func.min(following.c.position)).where(following.c.at >= older_than))
    last = await session.scalar(select(func.max(following.c.position)))
    floor = young - 1 if young is not None else (last or held.floor)
    if floor > held.floor:
        await session.execute(update(EventPositionsRow).values(floor=floor))
        await session.execute(
            delete(EventRow).where(
                EventRow.position > held.floor, EventRow.position <= floor, EventRow.job_uid.is_(None)
            )
        )
    return Bounds(floor, held.head)


def _events() -> Select[Any]:
    return select(
        EventRow.position,
        EventRow.namespace,
        EventRow.type,
        EventRow.at,
        EventRow.data,
        EventRow.provider,
        EventRow.job_uid,
        JobRow.name,
        EventRow.seq,
    ).outerjoin(JobRow, JobRow.uid == EventRow.job_uid)
