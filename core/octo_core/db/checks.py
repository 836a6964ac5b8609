"""SQL on ``job_checks``: the steps of runs in mode Verify."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.files import row_values
from octo_core.db.tables import JobCheckRow
from octo_core.domain.report import Check


async def record(session: AsyncSession, job_uid: str, attempt: int, checks: Sequence[Check]) -> None:
    """Write the steps of a report; sending a report again changes nothing."""
    rows = {check.number: {"job_uid": job_uid, "attempt": attempt, **row_values(check)} for check in checks}
    if rows:
        statement = insert(JobCheckRow).values([rows[number] for number in sorted(rows)])
        await session.execute(statement.on_conflict_do_nothing())


async def after(session: AsyncSession, job_uid: str, seen: tuple[int, int] = (0, 0)) -> list[tuple[int, Check]]:
    """Attempt and step of a run in their order, beginning behind ``seen`` (attempt and number)."""
    rows = await session.execute(
        select(JobCheckRow)
        .where(JobCheckRow.job_uid == job_uid, tuple_(JobCheckRow.attempt, JobCheckRow.number) > tuple_(*seen))
        .order_by(JobCheckRow.attempt, JobCheckRow.number)
    )
    names = Check.model_fields
    return [(row.attempt, Check.model_validate({name: getattr(row, name) for name in names})) for row in rows.scalars()]
