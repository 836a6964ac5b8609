"""What a submission writes, for ``group_commit``: its claim first, and then what came of it.

Claims lock rows of ``idempotency_keys`` only; what came of them locks such rows first, and then those of ``jobs``, as
the sweeper does. Intents and audit rows are only added; an intent goes when its row comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.crd.resources import Raw
from octo_core.db import audit, audit_intents, idempotency
from octo_core.db.audit import AuditEntry
from octo_core.db.audit_intents import Intent
from octo_core.db.group_commit import Part
from octo_core.db.idempotency import Claim
from octo_core.db.projection import project


@dataclass(frozen=True, slots=True)
class Submitted:
    """A claim, the OctoJob it became, and when that was seen."""

    claim: Claim
    job: Raw
    at: datetime


async def _record(session: AsyncSession, items: Sequence[Submitted]) -> list[None]:
    done = [replace(item.claim, job_uid=item.job["metadata"]["uid"]) for item in items]
    await idempotency.finish_many(session, done)
    await project(session, [item.job for item in items], now=max(item.at for item in items))
    return [None] * len(items)


async def _add(session: AsyncSession, entries: Sequence[AuditEntry]) -> list[None]:
    await audit.add(session, entries)
    return [None] * len(entries)


async def _intend(session: AsyncSession, intents: Sequence[Intent]) -> list[None]:
    await audit_intents.add(session, intents)
    return [None] * len(intents)


CLAIM: Final[Part[Claim, Claim | None]] = Part("claims", idempotency.key_of, idempotency.take_many)
"""Answers None for a claim that was made, else the one that stands. What the request intends is written with it."""
INTENT: Final[Part[Intent, None]] = Part("intents", lambda intent: (intent.id, intent.part), _intend)
"""For requests that make no claim."""
RECORD: Final[Part[Submitted, None]] = Part("runs", lambda item: idempotency.key_of(item.claim), _record)
AUDIT: Final[Part[AuditEntry, None]] = Part("audit", lambda entry: entry.at, _add)
