"""SQL on ``api_keys``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, update
from sqlalchemy.dialects.postgresql import insert
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

    def usable(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


async def find(session: AsyncSession, key_id: str) -> ApiKey | None:
    """The key of that id, usable or not."""
    row = await session.get(ApiKeyRow, key_id)
    if row is None:
        return None
    return ApiKey(
        id=row.id,
        subject=row.subject,
        secret_hash=row.secret_hash,
        scopes=tuple(row.scopes),
        namespaces=tuple(row.namespaces),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


async def put(session: AsyncSession, key: ApiKey) -> None:
    """Insert the key; one of the same id gets the new secret hash only, so that a revoked key stays revoked."""
    statement = insert(ApiKeyRow).values(
        id=key.id,
        subject=key.subject,
        secret_hash=key.secret_hash,
        scopes=list(key.scopes),
        namespaces=list(key.namespaces),
        expires_at=key.expires_at,
    )
    await session.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_={"secret_hash": statement.excluded.secret_hash})
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
