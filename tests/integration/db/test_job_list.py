"""Lists of runs come along an index, in every order and with every filter that has one."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from octo_core.db import job_list
from octo_core.db.job_list import JobFilter, JobSort, Position, Span
from octo_core.db.session import AsyncSession, Database
from octo_core.db.tables import JobRow
from octo_core.domain.failure import Category
from octo_core.domain.status import State

ROWS = 1500
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _rows() -> list[dict[str, Any]]:
    chance = random.Random(7)
    rows = []
    for number in range(ROWS):
        state = chance.choice(list(State))
        # Several in each second, as creationTimestamp has no finer.
        created = BEGAN + timedelta(seconds=number // 3)
        rows.append(
            {
                "uid": f"{chance.getrandbits(64):016x}",
                "namespace": chance.choice(["a", "a", "a", "b", "c"]),
                "name": f"{chance.choice(['night', 'day'])}-{number}",
                "provider": chance.choice(["bank", "vendor"]),
                "resource_version": number + 1,
                "generation": 1,
                "state": state.value,
                "reason": None,
                "attempt": 1,
                "failure_category": "Auth" if state is State.FAILED else None,
                "priority": 0,
                "requested_by": chance.choice(["ops", "cron"]),
                "rerun_of": "x" if number % 100 == 0 else None,
                "schedule": "bank" if number % 10 == 0 else None,
                "idempotency_key_hash": None,
                "labels": {"team": chance.choice(["risk", "desk"]), "n": str(number % 50)},
                "spec": {},
                "status": {},
                "created_at": created,
                "started_at": created + timedelta(seconds=2),
                "finished_at": created + timedelta(seconds=chance.randrange(9, 900)) if state.terminal else None,
                "last_event": 1,
            }
        )
    return rows


ALL = _rows()

FILTERS: dict[str, tuple[JobFilter, Any]] = {
    "all": (JobFilter(), lambda row: True),
    "one namespace": (JobFilter(namespaces=("a",)), lambda row: row["namespace"] == "a"),
    "two namespaces": (JobFilter(namespaces=("a", "c")), lambda row: row["namespace"] in "ac"),
    "no namespace": (JobFilter(namespaces=()), lambda row: False),
    "provider": (JobFilter(provider="bank"), lambda row: row["provider"] == "bank"),
    "states": (
        JobFilter(namespaces=("a",), states=(State.FAILED, State.RUNNING)),
        lambda row: row["namespace"] == "a" and row["state"] in ("Failed", "Running"),
    ),
    "provider and state": (
        JobFilter(namespaces=("b",), provider="vendor", states=(State.SUCCEEDED,)),
        lambda row: (row["namespace"], row["provider"], row["state"]) == ("b", "vendor", "Succeeded"),
    ),
    "category": (
        JobFilter(namespaces=("a",), failure_categories=(Category.AUTH,)),
        lambda row: row["namespace"] == "a" and row["failure_category"] == "Auth",
    ),
    "requested by": (
        JobFilter(namespaces=("a",), requested_by="cron"),
        lambda row: row["namespace"] == "a" and row["requested_by"] == "cron",
    ),
    "schedule": (
        JobFilter(namespaces=("a",), schedule="bank"),
        lambda row: row["namespace"] == "a" and row["schedule"] == "bank",
    ),
    "reruns": (JobFilter(rerun_of="x"), lambda row: row["rerun_of"] == "x"),
    "labels": (
        JobFilter(namespaces=("a",), labels=(("n", "7"), ("team", "risk"))),
        lambda row: row["namespace"] == "a" and row["labels"] == {"team": "risk", "n": "7"},
    ),
    "contradiction": (JobFilter(labels=(("n", "7"), ("n", "8"))), lambda row: False),
    "prefix": (
        JobFilter(namespaces=("a",), name_prefix="night-1"),
        lambda row: row["namespace"] == "a" and row["name"].startswith("night-1"),
    ),
    "created": (
        JobFilter(created=Span(BEGAN + timedelta(seconds=100), BEGAN + timedelta(seconds=300))),
        lambda row: timedelta(seconds=100) <= row["created_at"] - BEGAN < timedelta(seconds=300),
    ),
    "started": (
        JobFilter(started=Span(before=BEGAN + timedelta(seconds=102))),
        lambda row: row["created_at"] - BEGAN < timedelta(seconds=100),
    ),
    "finished": (
        JobFilter(finished=Span(BEGAN + timedelta(seconds=500), BEGAN + timedelta(seconds=700))),
        lambda row: (
            row["finished_at"] is not None
            and timedelta(seconds=500) <= row["finished_at"] - BEGAN < timedelta(seconds=700)
        ),
    ),
}


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.transaction() as session:
        await session.execute(insert(JobRow), ALL)
        await session.execute(text("ANALYZE jobs"))
        yield session


async def _read(session: AsyncSession, wanted: JobFilter, sort: JobSort, limit: int) -> list[str]:
    key = job_list.sorted_by(sort)
    seen: list[str] = []
    after: Position | None = None
    while True:
        rows = await job_list.page(session, wanted, sort=sort, after=after, limit=limit, columns=("uid", key))
        seen += [row.uid for row in rows]
        if len(rows) < limit:
            return seen
        after = Position(getattr(rows[-1], key), rows[-1].uid)


async def test_pages_hold_each_matching_run_once_and_in_order(session: AsyncSession) -> None:
    for name, (wanted, matches) in FILTERS.items():
        for sort in JobSort:
            key = job_list.sorted_by(sort)
            expected = sorted(
                (row for row in ALL if matches(row) and row[key] is not None),
                key=lambda row: (row[key], row["uid"]),
                reverse=sort.startswith("-"),
            )
            found = await _read(session, wanted, sort, limit=111)
            assert found == [row["uid"] for row in expected], (name, sort)


INDEXED = [
    ("one namespace", sort, index)
    for sort, index in (
        (JobSort.NEWEST, "ix_jobs_namespace_created_at_uid"),
        (JobSort.OLDEST, "ix_jobs_namespace_created_at_uid"),
        (JobSort.LAST_FINISHED, "ix_jobs_namespace_state_finished_at_uid"),
        (JobSort.FIRST_FINISHED, "ix_jobs_namespace_state_finished_at_uid"),
    )
] + [
    ("all", JobSort.NEWEST, "ix_jobs_namespace_created_at_uid"),
    ("states", JobSort.NEWEST, "ix_jobs_namespace_state_created_at_uid"),
    ("states", JobSort.LAST_FINISHED, "ix_jobs_namespace_state_finished_at_uid"),
    ("provider", JobSort.NEWEST, "ix_jobs_namespace_provider_state_created_at_uid"),
    ("provider and state", JobSort.OLDEST, "ix_jobs_namespace_provider_state_created_at_uid"),
    ("provider and state", JobSort.FIRST_FINISHED, "ix_jobs_namespace_provider_state_finished_at_uid"),
    ("category", JobSort.NEWEST, "ix_jobs_namespace_failure_category_created_at_uid"),
    ("requested by", JobSort.NEWEST, "ix_jobs_namespace_requested_by_created_at_uid"),
    ("schedule", JobSort.NEWEST, "ix_jobs_namespace_schedule_created_at_uid"),
    ("reruns", JobSort.NEWEST, "ix_jobs_rerun_of_created_at_uid"),
]


async def test_every_order_reads_along_its_index(session: AsyncSession) -> None:
    # So few rows fit into memory whole; what is asked is whether the index serves filter, order and position at once.
    await session.execute(text("SET LOCAL enable_seqscan = off"))
    await session.execute(text("SET LOCAL enable_bitmapscan = off"))
    await session.execute(text("SET LOCAL enable_sort = off"))
    middle = Position(BEGAN + timedelta(seconds=200), "8")
    for name, sort, index in INDEXED:
        wanted, _ = FILTERS[name]
        query = job_list.statement(
            wanted, wanted.namespaces or ("a", "b"), sort=sort, after=middle, limit=50, columns=("uid",)
        )
        plan = await _explain(session, query)
        used = [line for line in plan if index in line]
        assert used, (name, sort, plan)
        key = job_list.sorted_by(sort)
        conditions = [line for line in plan if "Index Cond" in line and key in line]
        assert conditions, (name, sort, plan)
        # Where pages are merged, only what stands on them is sorted.
        if "Nested Loop" not in "".join(plan):
            assert not any("Sort" in line for line in plan), (name, sort, plan)

    await session.execute(text("SET LOCAL enable_bitmapscan = on"))
    await session.execute(text("SET LOCAL enable_indexscan = off"))
    for name, index in (("labels", "ix_jobs_labels"), ("prefix", "ix_jobs_namespace_name")):
        wanted, _ = FILTERS[name]
        query = job_list.statement(wanted, ("a",), sort=JobSort.NEWEST, after=None, limit=50, columns=("uid",))
        plan = await _explain(session, query)
        assert any(index in line for line in plan), (name, plan)


async def _explain(session: AsyncSession, query: Any) -> Sequence[str]:
    connection = await session.connection()
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    given = compiled.construct_params()
    values = [given[name] for name in compiled.positiontup]
    rows = await connection.exec_driver_sql(
        f"EXPLAIN (COSTS OFF) {compiled}",
        tuple(json.dumps(value) if isinstance(value, dict) else value for value in values),
    )
    return list(rows.scalars())
