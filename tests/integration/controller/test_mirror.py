"""The projector against a real Postgres, which also goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from octo_controller.mirror.projector import Projector
from octo_controller.mirror.writer import DatabaseWriter
from octo_core.db.mirrors import Claim
from octo_core.db.session import Database
from tests.support.postgres import PostgresServer

Raw = dict[str, Any]


def octojob(name: str, version: int, state: str) -> Raw:
    return {
        "metadata": {
            "uid": f"uid-{name}",
            "name": name,
            "namespace": "octo",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-02T03:04:05Z",
        },
        "spec": {"providerRef": {"name": "bank"}},
        "status": {"state": state, "attempt": 1},
    }


@asynccontextmanager
async def mirror(database: Database) -> AsyncIterator[tuple[Projector, list[str]]]:
    committed: list[str] = []
    projector = Projector(
        DatabaseWriter(
            database,
            claim=lambda: Claim("octo", "0", "token", "cluster"),
            clock=lambda: datetime.now(UTC),
            replaced=lambda: projector.start_over(),
        ),
        committed=lambda raw: committed.append(raw["metadata"]["name"]),
    )
    task = asyncio.create_task(projector.run())
    yield projector, committed
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def settled(projector: Projector, seconds: float = 240) -> None:
    async with asyncio.timeout(seconds):
        while projector.pending:  # noqa: ASYNC110 - there is nothing else to wait for from outside
            await asyncio.sleep(0.02)


async def test_states_become_rows_and_deletes_leave_them(database: Database) -> None:
    async with mirror(database) as (projector, committed):
        projector.offer(octojob("a", 1, "Running"))
        await settled(projector)
        projector.offer(octojob("a", 2, "Succeeded"))
        projector.offer(octojob("b", 3, "Pending"))
        await settled(projector)
        assert committed == ["a", "a", "b"]
        assert projector.holds("uid-a", "2")
        assert set(await projector.live() or ()) == {"uid-a", "uid-b"}
        projector.gone("uid-a")
        await settled(projector)
        assert set(await projector.live() or ()) == {"uid-b"}


async def test_a_restart_mirrors_again_without_harm(database: Database) -> None:
    for _ in range(2):
        async with mirror(database) as (projector, committed):
            projector.offer(octojob("a", 7, "Succeeded"))
            await settled(projector)
            assert committed == ["a"], "an old row counts as committed too"


async def test_postgres_away_delays_the_mirror_and_loses_nothing(database: Database, postgres: PostgresServer) -> None:
    async with mirror(database) as (projector, committed):
        projector.offer(octojob("a", 1, "Running"))
        await settled(projector)
        postgres.stop()
        try:
            for version, state in ((2, "Running"), (3, "Succeeded")):
                projector.offer(octojob("a", version, state))
            await asyncio.sleep(1)
            assert projector.pending == 1
            assert not projector.available
            assert await projector.live() is None
        finally:
            postgres.start()
        await settled(projector)
        assert committed == ["a", "a"]
        assert projector.holds("uid-a", "3")


async def test_one_row_that_does_not_fit_leaves_the_others(database: Database) -> None:
    async with mirror(database) as (projector, committed):
        broken = octojob("broken", 1, "Running")
        del broken["spec"]["providerRef"]
        for raw in (octojob("a", 1, "Running"), broken, octojob("z", 1, "Running")):
            projector.offer(raw)
        await settled(projector)
        assert sorted(committed) == ["a", "z"]
