"""SQL on ``bulk_cancels``: which runs a request with an Idempotency-Key told to end, and what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import BulkCancelRow
from octo_core.domain.errors import DatabaseUnavailableError


@dataclass(frozen=True, slots=True)
class BulkCancel:
    """The runs are fixed by the first request with the key; ``answer`` tells that it was carried out."""

    tenant: str
    key_hash: str
    fingerprint: str
    uids: list[str]
    expires_at: datetime
    answer: dict[str, Any] | None = None


async def find(session: AsyncSession, tenant: str, key_hash: str, *, now: datetime) -> BulkCancel | None:
    """What stands for this key, if it has not expired."""
    row = await session.scalar(
        select(BulkCancelRow).where(
            BulkCancelRow.tenant == tenant, BulkCancelRow.key_hash == key_hash, BulkCancelRow.expires_at > now
        )
    )
    if row is None:
        return None
    return BulkCancel(row.tenant, row.key_hash, row.fingerprint, row.uids, row.expires_at, row.answer)


async def take(session: AsyncSession, new: BulkCancel, *, now: datetime) -> BulkCancel:
    """Fix the runs for the key, in place of an expired request; returns what stands then, perhaps another's."""
    await session.execute(
        delete(BulkCancelRow).where(
            BulkCancelRow.tenant == new.tenant,
            BulkCancelRow.key_hash == new.key_hash,
            BulkCancelRow.expires_at <= now,
        )
    )
    values = {
        "tenant": new.tenant,
        "key_hash": new.key_hash,
        "fingerprint": new.fingerprint,
        "uids": new.uids,
        "expires_at": new.expires_at,
    }
    await session.execute(insert(BulkCancelRow).values(values).on_conflict_do_nothing())
    standing = await find(session, new.tenant, new.key_hash, now=now)
    if standing is None:
        raise DatabaseUnavailableError("requests with this Idempotency-Key come and go")
    return standing


async def answer(session: AsyncSession, done: BulkCancel, content: dict[str, Any]) -> None:
    """Note what was answered; the first answer stays."""
    await session.execute(
        update(BulkCancelRow)
        .where(
            BulkCancelRow.tenant == done.tenant,
            BulkCancelRow.key_hash == done.key_hash,
            BulkCancelRow.answer.is_(None),
        )
        .values(answer=content)
    )


async def delete_expired(session: AsyncSession, *, now: datetime) -> None:
    """Forget requests whose time is over."""
    await session.execute(delete(BulkCancelRow).where(BulkCancelRow.expires_at <= now))
