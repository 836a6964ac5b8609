"""Positions: no gap, no event below one that was read, in the order of each run, however transactions commit."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from octo_core.db import events
from octo_core.db.events import Event, EventFilter, NewEvent
from octo_core.db.projection import mark_deleted, project
from octo_core.db.session import Database
from octo_core.db.tables import EventRow
from octo_core.domain.status import State
from tests.integration.db.test_projection import octojob

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STATES = list(State)


async def sequence(database: Database) -> events.Bounds | None:
    async with database.transaction() as session:
        return await events.sequence(session)


async def read(
    database: Database, after: int = 0, limit: int = 500, scan: int = events.SCAN, **wanted: object
) -> events.EventPage:
    async with database.transaction() as session:
        return await events.page(session, EventFilter(**wanted), after=after, limit=limit, scan=scan)  # type: ignore[arg-type] # names of fields


async def happen(database: Database, *happened: NewEvent) -> None:
    async with database.transaction() as session:
        await events.append(session, happened)


def told(number: int, *, at: datetime = NOW, kind: str = "webhook.disabled", namespace: str = "octo") -> NewEvent:
    return NewEvent(namespace, kind, at, {"n": number})


async def test_what_commits_late_comes_late_and_is_not_lost(database: Database) -> None:
    async with database.transaction() as session:
        # This one has the lower id.
        await events.append(session, [told(1)])
        await happen(database, told(2))
        assert await sequence(database) == events.Bounds(0, 1)
        assert [event.data["n"] for event in (await read(database)).items] == [2]
    assert await sequence(database) == events.Bounds(1, 2)
    assert [event.data["n"] for event in (await read(database, after=1)).items] == [1]
    assert await sequence(database) is None


async def test_many_writers_sequencers_and_readers(database: Database) -> None:
    uids = [f"uid-{n}" for n in range(12)]
    end: int | None = None

    async def writer(seed: int) -> None:
        order = random.Random(seed)
        for version in range(1, 9):
            batch = sorted(order.sample(uids, k=3))
            async with database.transaction() as session:
                state = STATES[(version + seed) % len(STATES)]
                # Several writers offer the same and older versions, as after a restart.
                await project(session, [octojob(uid, version + seed // 2, state) for uid in batch], now=NOW)
                await asyncio.sleep(order.random() / 30)

    async def sequencer() -> None:
        while end is None:
            await sequence(database)
            await asyncio.sleep(0.003)

    async def reader(seed: int) -> list[Event]:
        order = random.Random(seed)
        found: list[Event] = []
        last = 0
        while end is None or last < end:
            page = await read(database, after=last, limit=order.randint(1, 7))
            found += page.items
            assert page.last >= last
            last = page.last
            await asyncio.sleep(0.002)
        return found

    readers = [asyncio.create_task(reader(seed)) for seed in range(2)]
    sequencers = [asyncio.create_task(sequencer()) for _ in range(2)]
    await asyncio.gather(*(writer(seed) for seed in range(4)))
    async with database.transaction() as session:
        await mark_deleted(session, uids[:3], now=NOW)
    async with database.transaction() as session:
        all_of_them = await session.scalar(select(func.count()).select_from(EventRow))
    async with asyncio.timeout(240):
        while True:
            if (await read(database)).last == all_of_them:
                break
            await asyncio.sleep(0.01)
    end = all_of_them
    await asyncio.gather(*sequencers)
    views = await asyncio.gather(*readers)

    async with database.transaction() as session:
        written = {tuple(row) for row in await session.execute(select(EventRow.job_uid, EventRow.seq))}
    for view in views:
        assert [event.position for event in view] == list(range(1, len(written) + 1))
        assert {(event.job_uid, event.seq) for event in view} == written
        by_run: dict[str | None, list[int | None]] = defaultdict(list)
        for event in view:
            by_run[event.job_uid].append(event.seq)
        for sequence_numbers in by_run.values():
            assert sequence_numbers == list(range(1, len(sequence_numbers) + 1))


async def test_a_page_looks_no_further_than_it_may(database: Database) -> None:
    await happen(database, *(told(n, namespace="rare" if n == 9 else "octo") for n in range(10)))
    await sequence(database)
    first = await read(database, scan=5, namespaces=("rare",))
    assert (first.items, first.last, first.more) == ([], 5, True)
    second = await read(database, after=first.last, scan=5, namespaces=("rare",))
    assert ([event.position for event in second.items], second.last, second.more) == ([10], 10, False)
    assert await read(database, after=10) == events.EventPage([], 10, more=False)
    assert len((await read(database, types=("webhook.disabled",))).items) == 10
    assert (await read(database, types=("job.failed",))).items == []


async def test_old_events_expire_in_order_and_runs_keep_theirs(database: Database) -> None:
    async with database.transaction() as session:
        await project(session, [octojob("a", 1, "Pending")], now=NOW - timedelta(days=9))
    await happen(database, told(1, at=NOW - timedelta(days=8)), told(2, at=NOW), told(3, at=NOW - timedelta(days=8)))
    assert await sequence(database) == events.Bounds(0, 4)

    async def expire(**more: int) -> events.Bounds:
        async with database.transaction() as session:
            return await events.expire(session, older_than=NOW - timedelta(days=7), **more)

    assert await expire(scan=1) == events.Bounds(1, 4)
    for _ in range(2):
        # The last one is old too, but behind one that is not.
        assert await expire() == events.Bounds(2, 4)
    async with database.transaction() as session:
        assert await events.bounds(session) == events.Bounds(2, 4)
        assert [event.seq for event in await events.of_job(session, "a", after=0, limit=9)] == [1]
        left = await session.scalars(select(EventRow.position).where(EventRow.job_uid.is_(None)).order_by(EventRow.id))
        assert list(left) == [3, 4]


async def test_everything_may_expire(database: Database) -> None:
    await happen(database, told(1), told(2))
    await sequence(database)
    async with database.transaction() as session:
        assert await events.expire(session, older_than=NOW + timedelta(days=1)) == events.Bounds(2, 2)
