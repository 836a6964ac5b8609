"""SQL on ``audit_intents``: what a request is about to do, for as long as it has no row in the audit log.

``audit.add`` takes an intent away when it adds the row of its request, in one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import AuditIntentRow


@dataclass(frozen=True, slots=True)
class Intent:
    """One change that a request is about to make."""

    id: str
    """Of the request; drawn by the server."""
    part: int
    """Which of the request's changes."""
    at: datetime
    entry: dict[str, Any]
    """What is known of the audit row, as JSON: fields of ``AuditEntry`` but time, outcome and status."""
    probe: dict[str, Any]
    """How to see later whether it was done."""


ADD: Final = """
    INSERT INTO audit_intents (id, part, at, entry, probe)
    SELECT id, part, at, entry, probe
    FROM jsonb_to_recordset(:intents) AS intended(id text, part int, at timestamptz, entry jsonb, probe jsonb)
    ON CONFLICT DO NOTHING
"""
"""For other statements to carry along, with a list of intents as its parameter ``INTENTS``."""
INTENTS: Final = bindparam("intents", type_=JSONB)
_ADD = text(ADD).bindparams(INTENTS)


async def add(session: AsyncSession, intents: Sequence[Intent]) -> None:
    """Say what is about to be done."""
    await session.execute(_ADD, {"intents": list(intents)})


async def left_open(session: AsyncSession, *, before: datetime, limit: int) -> list[str]:
    """Ids of requests from before then that have no audit row, the oldest first."""
    found = await session.scalars(
        select(AuditIntentRow.id)
        .group_by(AuditIntentRow.id)
        .having(func.max(AuditIntentRow.at) < before)
        .order_by(func.min(AuditIntentRow.at))
        .limit(limit)
    )
    return list(found)


async def of_request(session: AsyncSession, intent_id: str) -> list[Intent]:
    """All that one request was about to do, in order."""
    rows = await session.scalars(
        select(AuditIntentRow).where(AuditIntentRow.id == intent_id).order_by(AuditIntentRow.part)
    )
    return [Intent(row.id, row.part, row.at, row.entry, row.probe) for row in rows]
