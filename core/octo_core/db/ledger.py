"""SQL on ``ledger``: what is stored of each source file of a provider."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.files import row_values
from octo_core.db.tables import LedgerRow
from octo_core.domain.report import FileOutcome, FileResult

_KEY = ("namespace", "provider", "source_path", "member")
_ENTRY = [column.key for column in LedgerRow.__table__.columns if column.key not in ("namespace", "provider")]
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Which entries to list; None means any."""

    path_prefix: str | None = None
    stored_after: datetime | None = None
    stored_before: datetime | None = None
    job_uid: str | None = None


async def record(
    session: AsyncSession, *, namespace: str, provider: str, job_uid: str, files: Sequence[FileResult]
) -> None:
    """Enter what is stored of these. A report sent again changes nothing; an older row never replaces a newer."""
    rows = {}
    for file in sorted(files, key=lambda file: file.finished_at):
        if file.outcome is not FileOutcome.FAILED:
            values = row_values(file)
            entry = {name: values[name] for name in _ENTRY if name in values}
            owner = {"namespace": namespace, "provider": provider, "job_uid": job_uid}
            rows[file.source_path, file.member] = {**owner, **entry, "stored_at": file.finished_at}
    if not rows:
        return
    # Sorted, so that two writers never deadlock.
    statement = insert(LedgerRow).values([rows[key] for key in sorted(rows)])
    new = statement.excluded
    changes: dict[str, Any] = {
        column.key: new[column.key] for column in LedgerRow.__table__.columns if column.key not in _KEY
    }
    changes["refetch"] = func.coalesce(new.refetch, LedgerRow.refetch)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=list(_KEY), set_=changes, where=new.stored_at >= LedgerRow.stored_at
        )
    )


async def page(
    session: AsyncSession,
    namespace: str,
    provider: str,
    wanted: LedgerFilter,
    *,
    after: tuple[str, str] | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Entries of a provider by path and member, beginning behind ``after``."""
    columns = LedgerRow.__table__.columns
    statement = select(*(columns[name] for name in _ENTRY)).where(
        LedgerRow.namespace == namespace, LedgerRow.provider == provider
    )
    if wanted.path_prefix:
        statement = statement.where(
            LedgerRow.source_path >= wanted.path_prefix, LedgerRow.source_path < wanted.path_prefix + _LAST_CHARACTER
        )
    if wanted.stored_after is not None:
        statement = statement.where(LedgerRow.stored_at >= wanted.stored_after)
    if wanted.stored_before is not None:
        statement = statement.where(LedgerRow.stored_at < wanted.stored_before)
    if wanted.job_uid is not None:
        statement = statement.where(LedgerRow.job_uid == wanted.job_uid)
    if after is not None:
        statement = statement.where(tuple_(LedgerRow.source_path, LedgerRow.member) > tuple_(*after))
    rows = await session.execute(statement.order_by(LedgerRow.source_path, LedgerRow.member).limit(limit))
    return [dict(row) for row in rows.mappings()]


async def known_paths(session: AsyncSession, namespace: str, provider: str, paths: Collection[str]) -> set[str]:
    """Those of the paths that have an entry."""
    rows = await session.scalars(
        select(LedgerRow.source_path)
        .where(LedgerRow.namespace == namespace, LedgerRow.provider == provider, LedgerRow.source_path.in_(paths))
        .distinct()
    )
    return set(rows)


async def done_refetches(session: AsyncSession, namespace: str, provider: str, paths: Collection[str]) -> set[str]:
    """Ids of the refetches of these paths of which it is known that they were done."""
    rows = await session.scalars(
        select(LedgerRow.refetch)
        .where(
            LedgerRow.namespace == namespace,
            LedgerRow.provider == provider,
            LedgerRow.source_path.in_(paths),
            LedgerRow.refetch.is_not(None),
        )
        .distinct()
    )
    return {refetch for refetch in rows if refetch is not None}
