"""SQL on ``job_logs``: what the pods of runs wrote, kept when they are gone."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, not_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import JobLogRow


@dataclass(frozen=True, slots=True)
class PodLog:
    """The log of one pod; ``tail`` is None unless it is so long that its middle was left out."""

    pod_uid: str
    job_uid: str
    attempt: int
    worker: int
    created_at: datetime
    head: str
    tail: str | None
    ended: bool
    """Whether the pod had ended when it was read, so that nothing came after."""


async def put(session: AsyncSession, log: PodLog, *, now: datetime) -> None:
    """Keep a log, in place of an earlier reading; one that is whole is never replaced."""
    values = {
        "pod_uid": log.pod_uid,
        "job_uid": log.job_uid,
        "attempt": log.attempt,
        "worker": log.worker,
        "created_at": log.created_at,
        "head": zlib.compress(log.head.encode(errors="replace")),
        "tail": None if log.tail is None else zlib.compress(log.tail.encode(errors="replace")),
        "ended": log.ended,
        "read_at": now,
    }
    statement = insert(JobLogRow).values(values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["pod_uid"], set_=values, where=and_(not_(JobLogRow.ended), JobLogRow.read_at <= now)
        )
    )


async def ended(session: AsyncSession, pod_uids: Collection[str]) -> set[str]:
    """Those of the pods whose whole log is kept already."""
    rows = await session.scalars(
        select(JobLogRow.pod_uid).where(JobLogRow.pod_uid.in_(sorted(pod_uids)), JobLogRow.ended)
    )
    return set(rows)


async def of_worker(session: AsyncSession, job_uid: str, *, attempt: int, worker: int) -> list[PodLog]:
    """The logs of a worker of an attempt; several if its pod was replaced, the first one first."""
    rows = await session.scalars(
        select(JobLogRow)
        .where(JobLogRow.job_uid == job_uid, JobLogRow.attempt == attempt, JobLogRow.worker == worker)
        .order_by(JobLogRow.created_at, JobLogRow.pod_uid)
    )
    return [
        PodLog(
            row.pod_uid,
            row.job_uid,
            row.attempt,
            row.worker,
            row.created_at,
            zlib.decompress(row.head).decode(),
            None if row.tail is None else zlib.decompress(row.tail).decode(),
            row.ended,
        )
        for row in rows
    ]


async def delete_old(session: AsyncSession, *, before: datetime) -> None:
    """Forget logs that were read before then."""
    await session.execute(delete(JobLogRow).where(JobLogRow.read_at < before))
