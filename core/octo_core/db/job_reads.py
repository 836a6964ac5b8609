"""Reads of single runs, live or archived; ``job_list`` has the lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.crd.resources import Raw
from octo_core.db.projection import job_values
from octo_core.db.tables import JobRow


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A run as it was last seen."""

    uid: str
    namespace: str
    name: str
    provider: str
    resource_version: Decimal
    generation: int
    state: str
    reason: str | None
    attempt: int
    priority: int
    requested_by: str | None
    rerun_of: str | None
    schedule: str | None
    labels: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deleted_at: datetime | None = None


_NAMES = [field.name for field in fields(JobRecord)]
_COLUMNS = [JobRow.__table__.columns[name] for name in _NAMES]


def record_of(raw: Raw) -> JobRecord:
    """A raw OctoJob as the record its row would give."""
    values = job_values(raw)
    return JobRecord(**{name: values[name] for name in _NAMES if name in values})


async def get(session: AsyncSession, uid: str) -> JobRecord | None:
    """The run of that uid."""
    row = (await session.execute(select(*_COLUMNS).where(JobRow.uid == uid))).one_or_none()
    return None if row is None else JobRecord(*row)


async def uids_by_name(session: AsyncSession, namespace: str, names: Iterable[str]) -> dict[str, str]:
    """The newest run of each of these names, live or archived; a name that no run had is left out."""
    rows = await session.execute(
        select(JobRow.name, JobRow.uid)
        .where(JobRow.namespace == namespace, JobRow.name.in_(list(names)))
        .order_by(JobRow.created_at)
    )
    return {row.name: row.uid for row in rows}


async def find_keyed(
    session: AsyncSession, *, namespace: str, name: str, key_hash: str, created_after: datetime
) -> str | None:
    """The uid of the run that was made for an Idempotency-Key, also when its OctoJob is gone."""
    uid: str | None = await session.scalar(
        select(JobRow.uid)
        .where(
            JobRow.namespace == namespace,
            JobRow.name == name,
            JobRow.idempotency_key_hash == key_hash,
            JobRow.created_at > created_after,
        )
        .order_by(JobRow.created_at.desc())
        .limit(1)
    )
    return uid
