"""SQL on ``signing_keys``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import SigningKeyRow

# Any number, the same in every process.
_LOCK = 0x0C7051


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A signing key as it is stored. It signs in ``[signs_from, signs_until)`` and verifies until later."""

    id: str
    sealed: bytes
    created_at: datetime
    signs_from: datetime
    signs_until: datetime
    verifies_until: datetime


async def lock(session: AsyncSession) -> None:
    """Be the only process that makes a key, until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def alive(session: AsyncSession, *, now: datetime) -> list[SealedKey]:
    """All keys that still verify, in the order in which they sign."""
    rows = await session.scalars(
        select(SigningKeyRow).where(SigningKeyRow.verifies_until > now).order_by(SigningKeyRow.signs_from)
    )
    return [
        SealedKey(row.id, row.sealed, row.created_at, row.signs_from, row.signs_until, row.verifies_until)
        for row in rows
    ]


async def add(session: AsyncSession, key: SealedKey) -> None:
    """Keep a new key."""
    await session.execute(insert(SigningKeyRow).values(asdict(key)))


async def delete_ended(session: AsyncSession, *, now: datetime) -> None:
    """Forget keys under which no token is valid any more."""
    await session.execute(delete(SigningKeyRow).where(SigningKeyRow.verifies_until <= now))
