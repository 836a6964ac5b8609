"""SQL on ``job_shards``: how far each of the workers that share a run is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import JobRow, JobShardRow
from octo_core.domain.status import Progress


async def put(
    session: AsyncSession, job_uid: str, attempt: int, shard: int, progress: Progress, *, now: datetime
) -> None:
    """Note what a worker said, unless something newer stands there."""
    values = {"progress": progress.model_dump(mode="json", by_alias=True, exclude_none=True), "updated_at": now}
    statement = insert(JobShardRow).values(job_uid=job_uid, attempt=attempt, shard=shard, **values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["job_uid", "attempt", "shard"],
            set_=values,
            where=JobShardRow.updated_at <= statement.excluded.updated_at,
        )
    )


async def progress(session: AsyncSession, job_uid: str, attempt: int) -> list[Progress]:
    """What each worker of an attempt said last, by shard; one that has said nothing yet is left out."""
    rows = await session.scalars(
        select(JobShardRow.progress)
        .where(JobShardRow.job_uid == job_uid, JobShardRow.attempt == attempt)
        .order_by(JobShardRow.shard)
    )
    # Another replica of the api may be newer.
    return [Progress.model_validate(row, extra="ignore") for row in rows]


async def delete_ended(session: AsyncSession, *, older_than: datetime) -> None:
    """Forget shards that were silent since then, of runs that are over or not known."""
    under_way = exists().where(
        JobRow.uid == JobShardRow.job_uid, JobRow.finished_at.is_(None), JobRow.deleted_at.is_(None)
    )
    await session.execute(delete(JobShardRow).where(JobShardRow.updated_at < older_than, ~under_way))
