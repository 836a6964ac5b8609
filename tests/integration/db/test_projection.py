"""A row of ``jobs`` moves forward only, whoever writes it, and counts its events without a gap."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from octo_core.db import provider_rows
from octo_core.db.projection import live_versions, mark_deleted, project
from octo_core.db.session import Database
from octo_core.db.tables import EventRow, JobRow, ProviderRow
from octo_core.domain.status import State

STATES = list(State)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def octojob(uid: str, version: int, state: str, *, attempt: int = 0, message: str = "") -> dict[str, Any]:
    return {
        "metadata": {
            "uid": uid,
            "namespace": "octo",
            "name": f"job-{uid}",
            "resourceVersion": str(version),
            "generation": 1,
            "creationTimestamp": "2026-01-02T03:04:05Z",
        },
        "spec": {"providerRef": {"name": "bank"}},
        "status": {
            "state": state,
            "attempt": attempt,
            "conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Completed", "message": message}],
        },
    }


async def rows(database: Database) -> dict[str, tuple[int, str, int]]:
    async with database.transaction() as session:
        found = await session.execute(select(JobRow.uid, JobRow.resource_version, JobRow.state, JobRow.last_event))
        return {row.uid: (int(row.resource_version), row.state, row.last_event) for row in found}


async def events(database: Database, uid: str) -> list[tuple[int, str]]:
    async with database.transaction() as session:
        found = await session.execute(
            select(EventRow.seq, EventRow.type).where(EventRow.job_uid == uid).order_by(EventRow.seq)
        )
        return [(row.seq, row.type) for row in found]


async def test_an_older_snapshot_never_overwrites_a_newer_one(database: Database) -> None:
    for version, state in ((10, "Pending"), (30, "Succeeded"), (20, "Running"), (30, "Failed")):
        async with database.transaction() as session:
            await project(session, [octojob("a", version, state)], now=NOW)
    assert await rows(database) == {"a": (30, "Succeeded", 2)}
    assert await events(database, "a") == [(1, "job.created"), (2, "job.succeeded")]


async def test_versions_compare_as_numbers(database: Database) -> None:
    for version in (99, 100):
        async with database.transaction() as session:
            written = await project(session, [octojob("a", version, "Running")], now=NOW)
        assert {uid: int(v) for uid, v in written.items()} == {"a": version}


async def test_within_one_batch_the_newest_wins(database: Database) -> None:
    async with database.transaction() as session:
        await project(session, [octojob("a", 5, "Running"), octojob("a", 3, "Pending")], now=NOW)
    assert await rows(database) == {"a": (5, "Running", 2)}


async def test_a_new_attempt_is_an_event_though_the_state_is_the_same(database: Database) -> None:
    for version, attempt in ((1, 1), (2, 1), (3, 2)):
        async with database.transaction() as session:
            await project(session, [octojob("a", version, "Running", attempt=attempt)], now=NOW)
    assert await events(database, "a") == [(1, "job.created"), (2, "job.running"), (3, "job.running")]


async def test_many_writers_in_any_order_neither_deadlock_nor_leave_gaps(database: Database) -> None:
    uids = [f"uid-{n}" for n in range(20)]
    chooser = random.Random(7)

    async def writer(seed: int) -> None:
        order = random.Random(seed)
        versions = list(range(1, 11))
        order.shuffle(versions)
        for version in versions:
            batch = order.sample(uids, k=len(uids))
            async with database.transaction() as session:
                await project(session, [octojob(uid, version, STATES[version % len(STATES)]) for uid in batch], now=NOW)

    await asyncio.gather(*(writer(chooser.randrange(1000)) for _ in range(6)))
    found = await rows(database)
    assert {version for version, _, _ in found.values()} == {10}
    for uid in uids:
        sequence = [seq for seq, _ in await events(database, uid)]
        assert sequence == list(range(1, found[uid][2] + 1))


async def test_a_deleted_job_keeps_its_row(database: Database) -> None:
    async with database.transaction() as session:
        await project(session, [octojob("a", 1, "Succeeded"), octojob("b", 1, "Running")], now=NOW)
    for _ in range(2):
        async with database.transaction() as session:
            await mark_deleted(session, ["a", "unknown"], now=NOW)
    async with database.transaction() as session:
        assert set(await live_versions(session, "octo")) == {"b"}
    assert await events(database, "a") == [(1, "job.created"), (2, "job.succeeded"), (3, "job.deleted")]


async def test_a_job_that_went_without_a_last_word_does_not_run_for_ever(database: Database) -> None:
    async with database.transaction() as session:
        await project(session, [octojob("a", 1, "Running", attempt=1)], now=NOW)
    async with database.transaction() as session:
        await mark_deleted(session, ["a"], now=NOW)
    async with database.transaction() as session:
        row = (await session.execute(select(JobRow))).scalar_one()
        assert (row.state, row.reason, row.finished_at, row.deleted_at) == ("Cancelled", "Deleted", NOW, NOW)
        assert (row.status["state"], row.status["attempt"]) == ("Cancelled", 1)
    told = [(1, "job.created"), (2, "job.running"), (3, "job.cancelled"), (4, "job.deleted")]
    assert await events(database, "a") == told
    # The word comes after all: from a controller that held it while Postgres was away.
    async with database.transaction() as session:
        await project(session, [octojob("a", 2, "Succeeded", attempt=1)], now=NOW)
    assert await rows(database) == {"a": (2, "Succeeded", 5)}


async def test_a_nul_character_does_not_stop_the_mirror(database: Database) -> None:
    async with database.transaction() as session:
        await project(session, [octojob("a", 1, "Running", message="bro\x00ken")], now=NOW)
    async with database.transaction() as session:
        status = (await session.execute(select(JobRow.status))).scalar_one()
    assert status["conditions"][0]["message"] == "broken"


async def test_nor_does_one_in_a_parameter_s_name_or_in_an_octoprovider(database: Database) -> None:
    """The API server takes it there from everybody who may make one."""
    raw = octojob("a", 1, "Running")
    raw["spec"]["parameters"] = {"da\x00y": "mon\x00day"}
    meta = {"name": "bank", "uid": "b", "annotations": {"no\x00te": "o\x00k"}}
    copy = provider_rows.copy_of({"metadata": meta, "spec": {"container": {"args": ["a\x00b"]}}})
    async with database.transaction() as session:
        await project(session, [raw], now=NOW)
        await provider_rows.put(session, "octo", [copy], now=NOW)
    async with database.transaction() as session:
        assert (await session.execute(select(JobRow.spec))).scalar_one()["parameters"] == {"day": "monday"}
        row = (await session.execute(select(ProviderRow))).scalar_one()
    assert (row.annotations, row.spec) == ({"note": "ok"}, {"container": {"args": ["ab"]}})
