"""SQL on ``api_keys``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import ApiKeyRow


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: what it may do, and the hash of its secret."""

    id: str
    subject: str
    secret_hash: str
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...]
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    description: str = ""
    created_at: datetime | None = None
    """None lets the database set it."""
    created_by: str | None = None
    rotated_from: str | None = None

    def usable(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


async def find(session: AsyncSession, key_id: str, *, lock: bool = False) -> ApiKey | None:
    """The key of that id, usable or not; ``lock`` keeps others from changing it until the transaction ends."""
    row = await session.get(ApiKeyRow, key_id, with_for_update=lock)
    return None if row is None else _key(row)


async def page(
    session: AsyncSession,
    *,
    namespaces: Sequence[str] | None,
    subject: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[ApiKey]:
    """Keys from the newest on, of these namespaces and no others; None stands for all keys."""
    statement = select(ApiKeyRow)
    if namespaces is not None:
        statement = statement.where(ApiKeyRow.namespaces.contained_by(list(namespaces)))
    if subject is not None:
        statement = statement.where(ApiKeyRow.subject == subject)
    if after is not None:
        statement = statement.where(tuple_(ApiKeyRow.created_at, ApiKeyRow.id) < after)
    rows = await session.scalars(statement.order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id.desc()).limit(limit))
    return [_key(row) for row in rows]


async def add(session: AsyncSession, key: ApiKey) -> None:
    """Insert a new key."""
    await session.execute(insert(ApiKeyRow).values(_values(key)))


async def put(session: AsyncSession, key: ApiKey) -> None:
    """Insert the key; one of the same id gets the new secret hash only, so that a revoked key stays revoked."""
    statement = postgresql.insert(ApiKeyRow).values(_values(key))
    await session.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_={"secret_hash": statement.excluded.secret_hash})
    )


async def expire(session: AsyncSession, key_id: str, *, at: datetime) -> None:
    """Let the key's life end then, unless it ends sooner."""
    await session.execute(
        update(ApiKeyRow)
        .where(ApiKeyRow.id == key_id)
        .values(expires_at=func.least(func.coalesce(ApiKeyRow.expires_at, at), at))
    )


async def revoke(session: AsyncSession, key_id: str, *, now: datetime) -> bool:
    """End the key's life; False if there is none of that id, or it was revoked before."""
    found = await session.scalar(
        update(ApiKeyRow)
        .where(ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(ApiKeyRow.id)
    )
    return found is not None


async def touch(session: AsyncSession, key_id: str, *, now: datetime, at_most_every: timedelta) -> None:
    """Note that the key was used, unless that was noted a short while ago."""
    await session.execute(
        update(ApiKeyRow)
        .where(
            ApiKeyRow.id == key_id,
            or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at < now - at_most_every),
        )
        .values(last_used_at=now)
    )


async def rehash(session: AsyncSession, key_id: str, *, old: str, new: str) -> None:
    """Keep the secret's hash under another pepper, if the old one still stands."""
    await session.execute(
        update(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.secret_hash == old).values(secret_hash=new)
    )


def _values(key: ApiKey) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": key.id,
        "subject": key.subject,
        "secret_hash": key.secret_hash,
        "scopes": list(key.scopes),
        "namespaces": list(key.namespaces),
        "expires_at": key.expires_at,
        "description": key.description,
        "created_by": key.created_by,
        "rotated_from": key.rotated_from,
    }
    return values if key.created_at is None else {**values, "created_at": key.created_at}


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        subject=row.subject,
        secret_hash=row.secret_hash,
        scopes=tuple(row.scopes),
        namespaces=tuple(row.namespaces),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        description=row.description,
        created_at=row.created_at,
        created_by=row.created_by,
        rotated_from=row.rotated_from,
    )
