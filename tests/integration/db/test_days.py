"""What days came to is what the rows of ``jobs`` say, whoever writes them, in whatever order, folded or not."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, date, datetime
from typing import Any

from alembic import command
from sqlalchemy import Connection, delete, func, make_url, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from octo_core.db import days
from octo_core.db.days import Day
from octo_core.db.migrate import alembic_config
from octo_core.db.projection import mark_deleted, project
from octo_core.db.session import Database
from octo_core.db.tables import JobDayRow, JobRow
from octo_core.domain.status import State
from octo_core.settings import DatabaseSettings
from tests.integration.db.test_projection import octojob

FIRST, NOW = date(2026, 1, 1), datetime(2026, 1, 5, 12, tzinfo=UTC)


def ended(uid: str, version: int, state: str, at: str, *, namespace: str = "octo", **progress: int) -> dict[str, Any]:
    raw = octojob(uid, version, state)
    raw["metadata"]["namespace"] = namespace
    raw["status"] |= {"completionTime": at, "progress": progress}
    return raw


async def write(database: Database, *jobs: dict[str, Any]) -> None:
    async with database.transaction() as session:
        await project(session, jobs, now=NOW)


async def read(database: Database, *namespaces: str) -> tuple[dict[State, int], list[Day]]:
    wanted = namespaces or None
    async with database.transaction() as session:
        return await days.states(session, wanted), await days.days(session, wanted, since=FIRST)


async def fold(database: Database, limit: int = 1000) -> None:
    while True:
        async with database.transaction() as session:
            if not await days.fold(session, limit=limit):
                return


async def test_runs_count_on_the_day_and_in_the_way_they_ended(database: Database) -> None:
    await write(
        database,
        ended("a", 1, "Succeeded", "2026-01-02T23:59:59Z", filesDone=3, bytesDownloaded=10, bytesUploaded=7),
        ended("b", 1, "Succeeded", "2026-01-03T00:00:00Z", filesDone=1, filesFailed=2),
        ended("c", 1, "Failed", "2026-01-03T01:00:00Z", filesFailed=4),
        ended("d", 1, "Cancelled", "2026-01-03T01:00:00Z", namespace="other"),
        ended("early", 1, "Failed", "2025-12-31T23:59:59Z"),
        octojob("e", 1, "Running"),
        octojob("f", 1, "Pending"),
    )
    expected = [
        Day(date(2026, 1, 2), State.SUCCEEDED, 1, 3, 0, 10, 7),
        Day(date(2026, 1, 3), State.FAILED, 1, 0, 4, 0, 0),
        Day(date(2026, 1, 3), State.SUCCEEDED, 1, 1, 2, 0, 0),
    ]
    counts = {State.SUCCEEDED: 2, State.FAILED: 2, State.RUNNING: 1, State.PENDING: 1}
    assert await read(database, "octo") == (counts, expected)
    cancelled = Day(date(2026, 1, 3), State.CANCELLED, 1, 0, 0, 0, 0)
    everywhere = (counts | {State.CANCELLED: 1}, [expected[0], cancelled, *expected[1:]])
    assert await read(database) == everywhere
    assert await read(database, "none") == ({}, [])
    await fold(database)
    assert await read(database) == everywhere


async def test_what_changes_later_is_counted_anew(database: Database) -> None:
    await write(database, octojob("a", 1, "Running"), ended("b", 1, "Failed", "2026-01-02T00:00:00Z", filesDone=1))
    async with database.transaction() as session:
        await mark_deleted(session, ["a"], now=NOW)
    assert await read(database) == (
        {State.CANCELLED: 1, State.FAILED: 1},
        [Day(date(2026, 1, 2), State.FAILED, 1, 1, 0, 0, 0), Day(NOW.date(), State.CANCELLED, 1, 0, 0, 0, 0)],
    )
    # Its last word came after all, and the other one's progress was corrected.
    await write(
        database,
        ended("a", 2, "Succeeded", "2026-01-04T00:00:00Z", bytesUploaded=9),
        ended("b", 2, "Failed", "2026-01-02T00:00:00Z", filesDone=2),
    )
    await fold(database)
    assert await read(database) == (
        {State.SUCCEEDED: 1, State.FAILED: 1},
        [Day(date(2026, 1, 2), State.FAILED, 1, 2, 0, 0, 0), Day(date(2026, 1, 4), State.SUCCEEDED, 1, 0, 0, 0, 9)],
    )
    async with database.transaction() as session:
        await session.execute(delete(JobRow))
    assert await read(database) == ({}, [])


async def test_numbers_that_are_none_stop_nobody(database: Database) -> None:
    raw = ended("a", 1, "Succeeded", "2026-01-02T00:00:00Z")
    raw["status"]["progress"] = {"filesDone": "many", "bytesUploaded": 10**40, "bytesDownloaded": -5}
    await write(database, raw)
    assert await read(database) == (
        {State.SUCCEEDED: 1},
        [Day(date(2026, 1, 2), State.SUCCEEDED, 1, 0, 0, 0, 10**15)],
    )


async def test_many_writers_beside_those_who_fold(database: Database) -> None:
    states = [state.value for state in State if state.terminal]

    async def writer(number: int) -> None:
        chooser = random.Random(number)
        for turn in range(8):
            jobs = [
                ended(f"{number}-{turn}-{n}", 1, chooser.choice(states), "2026-01-02T00:00:00Z", filesDone=1)
                for n in range(10)
            ]
            await write(database, *jobs)

    async def folder(writers: asyncio.Future[Any]) -> None:
        while not writers.done():
            await fold(database, limit=25)

    writers = asyncio.ensure_future(asyncio.gather(*(writer(number) for number in range(4))))
    await asyncio.gather(writers, folder(writers), folder(writers))
    await fold(database)
    counts, found = await read(database)
    assert (sum(counts.values()), sum(day.files for day in found)) == (320, 320)
    async with database.transaction() as session:
        truth = await session.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
        assert counts == {State(state): count for state, count in truth}
        assert await session.scalar(select(func.count()).select_from(JobDayRow)) == len(found)


async def test_what_ended_before_is_counted_once(database: Database, database_settings: DatabaseSettings) -> None:
    url = make_url(database_settings.database_url.get_secret_value()).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)

    def to(revision: str) -> Any:
        def run(connection: Connection) -> None:
            config = alembic_config()
            config.attributes["connection"] = connection
            (command.upgrade if revision == "head" else command.downgrade)(config, revision)

        return run

    await write(
        database,
        ended("a", 1, "Succeeded", "2026-01-02T00:00:00Z", filesDone=3),
        ended("b", 1, "Succeeded", "2026-01-02T10:00:00Z", filesDone=4),
        octojob("c", 1, "Running"),
    )
    async with engine.begin() as connection:
        # Back to when nobody counted; the rows stay.
        await connection.run_sync(to("0010"))
        await connection.run_sync(to("head"))
        assert await connection.scalar(text("SELECT count(*) FROM job_days")) == 1
    await engine.dispose()
    await write(database, ended("c", 2, "Succeeded", "2026-01-02T12:00:00Z", filesDone=5))
    assert await read(database) == (
        {State.SUCCEEDED: 3},
        [Day(date(2026, 1, 2), State.SUCCEEDED, 3, 12, 0, 0, 0)],
    )
