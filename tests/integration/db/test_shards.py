"""How far each worker of a run is, as long as the run is under way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from octo_core.db import shards
from octo_core.db.projection import mark_deleted, project
from octo_core.db.session import Database
from octo_core.domain.status import Progress
from tests.integration.db.test_projection import NOW, octojob


async def put(database: Database, shard: int, done: int, *, attempt: int = 1, seconds: float = 0) -> None:
    async with database.transaction() as session:
        now = NOW + timedelta(seconds=seconds)
        await shards.put(session, "a", attempt, shard, Progress(files_done=done), now=now)


async def done(database: Database, attempt: int = 1) -> list[int]:
    async with database.transaction() as session:
        return [part.files_done for part in await shards.progress(session, "a", attempt)]


async def swept(database: Database, *, seconds: float) -> list[int]:
    async with database.transaction() as session:
        await shards.delete_ended(session, older_than=NOW + timedelta(seconds=seconds))
    return await done(database)


async def test_the_newest_word_of_each_counts(database: Database) -> None:
    await put(database, 1, 5, seconds=9)
    await put(database, 0, 1)
    await put(database, 0, 3, seconds=5)
    await put(database, 0, 2, seconds=4)  # came late, by another replica
    await put(database, 0, 8, attempt=2)
    assert await done(database) == [3, 5]
    assert await done(database, attempt=2) == [8]


async def test_a_run_under_way_is_remembered_however_long_one_of_its_workers_is_silent(database: Database) -> None:
    async with database.transaction() as session:
        await project(session, [octojob("a", 1, "Running")], now=NOW)
    await put(database, 0, 1)
    assert await swept(database, seconds=9**6) == [1]


@pytest.mark.parametrize("end", ["finished", "gone", "never known"])
async def test_a_run_that_is_over_is_forgotten_after_a_while(database: Database, end: str) -> None:
    async with database.transaction() as session:
        if end != "never known":
            over = octojob("a", 1, "Succeeded" if end == "finished" else "Running")
            if end == "finished":
                over["status"]["completionTime"] = "2026-01-02T03:04:05Z"
            await project(session, [over], now=NOW)
        if end == "gone":
            await mark_deleted(session, ["a"], now=NOW)
    await put(database, 0, 1)
    assert await swept(database, seconds=0) == [1], "not before its time"
    assert await swept(database, seconds=1) == []
