"""Reads of ``jobs``: live and archived runs are one collection."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.crd.resources import Raw
from octo_core.db.projection import job_values
from octo_core.db.tables import JobRow
from octo_core.domain.failure import Category
from octo_core.domain.status import State


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A run as it was last seen."""

    uid: str
    namespace: str
    name: str
    provider: str
    generation: int
    state: str
    reason: str | None
    attempt: int
    priority: int
    requested_by: str | None
    rerun_of: str | None
    labels: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deleted_at: datetime | None = None


_NAMES = [field.name for field in fields(JobRecord)]
_COLUMNS = [JobRow.__table__.columns[name] for name in _NAMES]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which runs to list; None means any."""

    namespaces: tuple[str, ...] | None = None
    provider: str | None = None
    state: State | None = None
    failure_category: Category | None = None
    name: str | None = None


def record_of(raw: Raw) -> JobRecord:
    """A raw OctoJob as the record its row would give."""
    values = job_values(raw)
    return JobRecord(**{name: values[name] for name in _NAMES if name in values})


async def get(session: AsyncSession, uid: str) -> JobRecord | None:
    """The run of that uid."""
    row = (await session.execute(select(*_COLUMNS).where(JobRow.uid == uid))).one_or_none()
    return None if row is None else JobRecord(*row)


async def page(
    session: AsyncSession, wanted: JobFilter, *, after: tuple[datetime, str] | None = None, limit: int
) -> list[JobRecord]:
    """Runs from the newest on, beginning behind ``after`` (created_at and uid of the last one seen)."""
    statement = select(*_COLUMNS)
    if wanted.namespaces is not None:
        statement = statement.where(JobRow.namespace.in_(wanted.namespaces))
    for column, value in (
        (JobRow.provider, wanted.provider),
        (JobRow.state, wanted.state),
        (JobRow.failure_category, wanted.failure_category),
        (JobRow.name, wanted.name),
    ):
        if value is not None:
            statement = statement.where(column == str(value))
    if after is not None:
        statement = statement.where(tuple_(JobRow.created_at, JobRow.uid) < tuple_(*after))
    rows = await session.execute(statement.order_by(JobRow.created_at.desc(), JobRow.uid.desc()).limit(limit))
    return [JobRecord(*row) for row in rows]


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
