"""SQL on ``audit_log``: rows are only ever added, and pruned when they are old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, select, text, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import AuditRow


class AuditOutcome(StrEnum):
    """Whether what was asked for was taken; ``status`` tells what came of it."""

    ALLOWED = "Allowed"
    DENIED = "Denied"
    """Refused, for who asked (401, 403) or for what: nothing was changed."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One mutation or refusal."""

    at: datetime
    actor: str | None
    action: str
    outcome: AuditOutcome
    namespace: str | None
    resource: str | None
    status: int
    request_id: str
    client: str | None
    details: dict[str, Any] = field(default_factory=dict)
    intent: str | None = None
    """Id of the request in ``audit_intents``, if it said there what it was about to do."""
    intended: bool = False
    """Whether that is certain: then the row belongs to whoever takes the intent away, and to nobody else."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows are wanted; a None asks for no restriction."""

    namespaces: tuple[str, ...] | None = None
    """Rows of no namespace, such as logins, belong to None only."""
    actor: str | None = None
    action: str | None = None
    outcome: AuditOutcome | None = None
    resource: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


# One statement, so that a request has either an intent or a row, and one row whoever writes it.
_ADD = text(
    """
    WITH given AS (
      SELECT * FROM jsonb_to_recordset(:entries) AS entry(
        at timestamptz, actor text, action text, outcome text, namespace text, resource text, status smallint,
        request_id text, client text, details jsonb, intent text, intended boolean)
    ),
    done AS (
      DELETE FROM audit_intents WHERE id IN (SELECT intent FROM given WHERE intent IS NOT NULL) RETURNING id
    )
    INSERT INTO audit_log (at, actor, action, outcome, namespace, resource, status, request_id, client, details)
    SELECT at, actor, action, outcome, namespace, resource, status, request_id, client, details
    FROM given WHERE NOT intended OR intent IN (SELECT id FROM done)
    """
).bindparams(bindparam("entries", type_=JSONB))


async def add(session: AsyncSession, entries: Sequence[AuditEntry]) -> None:
    """Append the entries, in place of their intents; not one whose intent somebody else has completed."""
    await session.execute(_ADD, {"entries": list(entries)})


async def page(
    session: AsyncSession, wanted: AuditFilter, *, after: tuple[datetime, int] | None, limit: int
) -> list[tuple[int, AuditEntry]]:
    """Entries with their ids, from the newest on; ``after`` is time and id of the last one seen."""
    statement = select(AuditRow)
    if wanted.namespaces is not None:
        statement = statement.where(AuditRow.namespace.in_(wanted.namespaces))
    for column, value in (
        (AuditRow.actor, wanted.actor),
        (AuditRow.action, wanted.action),
        (AuditRow.outcome, wanted.outcome),
        (AuditRow.resource, wanted.resource),
        (AuditRow.request_id, wanted.request_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.since is not None:
        statement = statement.where(AuditRow.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(AuditRow.at < wanted.until)
    if after is not None:
        statement = statement.where(tuple_(AuditRow.at, AuditRow.id) < after)
    rows = await session.scalars(statement.order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(limit))
    return [(row.id, _entry(row)) for row in rows]


async def prune(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` rows from before then; returns how many.

    The database itself refuses to delete rows younger than 30 days, and all deletion but this.
    """
    gone = await session.scalar(text("SELECT octo_audit_prune(:before, :most)"), {"before": before, "most": limit})
    return int(gone or 0)


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        at=row.at,
        actor=row.actor,
        action=row.action,
        outcome=AuditOutcome(row.outcome),
        namespace=row.namespace,
        resource=row.resource,
        status=row.status,
        request_id=row.request_id,
        client=row.client,
        details=row.details,
    )
