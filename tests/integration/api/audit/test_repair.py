"""The audit row of a request whose process was killed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import text

from octo_api.audit.log import AuditLog
from octo_api.audit.repair import AuditRepair
from octo_api.metrics import Metrics
from octo_core.db import audit_intents
from octo_core.db.audit_intents import Intent
from octo_core.db.session import Database
from octo_core.domain.errors import NotFoundError
from octo_core.kube.client import KubeClient

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
ENTRY: dict[str, Any] = {
    "actor": "ops",
    "action": "jobs.delete",
    "namespace": "octo",
    "resource": "night",
    "request_id": "r",
    "client": None,
    "details": {},
}
OPEN = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_type = 'client backend'"
    " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
)


class SlowKube:
    """Says that the object is gone, and sees which transactions wait for that."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.waiting: list[int] = []

    async def get(self, *_: Any) -> Any:
        async with self.database.reading() as session:
            self.waiting.append(await session.scalar(OPEN) or 0)
        raise NotFoundError("night")


async def test_no_transaction_waits_for_kubernetes(database: Database) -> None:
    probe = {"kind": "deleted", "resource": "octojobs", "namespace": "octo", "name": "night", "uid": "u"}
    async with database.transaction() as session:
        await audit_intents.add(session, [Intent("one", 0, NOW, ENTRY, probe)])
    kube, metrics = SlowKube(database), Metrics()

    def now() -> datetime:
        return NOW + timedelta(hours=1)

    repair = AuditRepair(
        database,
        cast(KubeClient, kube),
        AuditLog(clock=now, metrics=metrics),
        metrics=metrics,
        clock=now,
        older_than=timedelta(0),
    )
    assert await repair.round() == 1
    assert kube.waiting == [0]
    async with database.transaction() as session:
        (row,) = await session.execute(text("SELECT action, resource, details FROM audit_log"))
        assert (row.action, row.resource) == ("jobs.delete", "night")
        assert row.details["interrupted"] == {"Done": 1}
    assert await repair.round() == 0
