"""SQL on ``job_files``: what became of each object of each source file of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, func, not_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import JobFileRow
from octo_core.domain.failure import Category
from octo_core.domain.report import Check, FileOutcome, FileResult

_COLUMNS = [column.key for column in JobFileRow.__table__.columns if column.key != "job_uid"]


async def record(session: AsyncSession, job_uid: str, attempt: int, files: Sequence[FileResult]) -> None:
    """Write the rows of a report; sending a report again changes nothing.

    A row of an older attempt never replaces one of a newer, and what an attempt stored stays ``Stored``
    when a later one finds it there.
    """
    # By key, the last row wins: one statement may not touch a row twice. Sorted, so that two writers never deadlock.
    rows = {(row["source_path"], row["member"]): row for row in (_row(job_uid, attempt, file) for file in files)}
    if not rows:
        return
    statement = insert(JobFileRow).values([rows[key] for key in sorted(rows)])
    new = statement.excluded
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["job_uid", "source_path", "member"],
            set_={name: new[name] for name in _COLUMNS if name not in ("source_path", "member")},
            where=and_(
                new.attempt >= JobFileRow.attempt,
                not_(
                    and_(
                        JobFileRow.outcome == FileOutcome.STORED.value,
                        new.outcome == FileOutcome.ALREADY_STORED.value,
                    )
                ),
            ),
        )
    )


async def page(
    session: AsyncSession,
    job_uid: str,
    *,
    outcome: FileOutcome | None = None,
    category: Category | None = None,
    attempt: int | None = None,
    path_prefix: str | None = None,
    after: tuple[str, str] | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Rows of a run by source path and member, beginning behind ``after``; keys are those of FileResult."""
    columns = JobFileRow.__table__.columns
    statement = select(*(columns[name] for name in _COLUMNS)).where(JobFileRow.job_uid == job_uid)
    if outcome is not None:
        statement = statement.where(JobFileRow.outcome == outcome.value)
    if category is not None:
        statement = statement.where(JobFileRow.category == category.value)
    if attempt is not None:
        statement = statement.where(JobFileRow.attempt == attempt)
    if path_prefix is not None:
        statement = statement.where(func.starts_with(JobFileRow.source_path, path_prefix))
    if after is not None:
        statement = statement.where(tuple_(JobFileRow.source_path, JobFileRow.member) > tuple_(*after))
    rows = await session.execute(statement.order_by(JobFileRow.source_path, JobFileRow.member).limit(limit))
    return [dict(row) for row in rows.mappings()]


async def failed_paths(session: AsyncSession, job_uid: str, *, limit: int) -> list[str]:
    """Source paths of a run of which something failed, in their order."""
    rows = await session.scalars(
        select(JobFileRow.source_path)
        .where(JobFileRow.job_uid == job_uid, JobFileRow.outcome == FileOutcome.FAILED.value)
        .distinct()
        .order_by(JobFileRow.source_path)
        .limit(limit)
    )
    return list(rows)


async def counts(session: AsyncSession, job_uid: str) -> tuple[int, int]:
    """How many files of a run have a row of success, and how many rows tell of a failure."""
    failed = JobFileRow.outcome == FileOutcome.FAILED.value
    row = await session.execute(
        select(func.count(JobFileRow.source_path.distinct()).filter(not_(failed)), func.count().filter(failed)).where(
            JobFileRow.job_uid == job_uid
        )
    )
    stored, failures = row.one()
    return stored, failures


def row_values(result: FileResult | Check) -> dict[str, Any]:
    """Its fields as Postgres takes them: its text has no NUL."""
    return {
        name: value.replace("\x00", "\ufffd") if isinstance(value, str) else value
        for name, value in result.model_dump().items()
    }


def _row(job_uid: str, attempt: int, file: FileResult) -> dict[str, Any]:
    return {"job_uid": job_uid, "attempt": attempt, **row_values(file)}
