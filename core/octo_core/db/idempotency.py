"""SQL on ``idempotency_keys``: the claim on a request, made before its OctoJob is created."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.crd.resources import Raw
from octo_core.db.tables import IdempotencyKeyRow
from octo_core.domain.errors import DatabaseUnavailableError


@dataclass(frozen=True, slots=True)
class Claim:
    """One request to create a run. ``job_uid`` tells that the run was created and recorded."""

    tenant: str
    key_hash: str
    fingerprint: str
    namespace: str
    job_name: str
    manifest: Raw
    created_at: datetime
    expires_at: datetime
    job_uid: str | None = None


async def find(session: AsyncSession, tenant: str, key_hash: str, *, now: datetime) -> Claim | None:
    """The claim that stands for this key, if it has not expired."""
    row = await session.scalar(
        select(IdempotencyKeyRow).where(
            IdempotencyKeyRow.tenant == tenant,
            IdempotencyKeyRow.key_hash == key_hash,
            IdempotencyKeyRow.expires_at > now,
        )
    )
    return None if row is None else _claim(row)


async def take(session: AsyncSession, claim: Claim) -> Claim | None:
    """Make the claim, in place of an expired one; None if it was made, else the one that stands.

    Never waits for a sweeper that holds a live row: an upsert would. Raises DatabaseUnavailableError if
    another claim on the key comes and goes meanwhile.
    """
    for _ in range(3):
        await session.execute(
            delete(IdempotencyKeyRow).where(
                IdempotencyKeyRow.tenant == claim.tenant,
                IdempotencyKeyRow.key_hash == claim.key_hash,
                IdempotencyKeyRow.expires_at <= claim.created_at,
            )
        )
        made = await session.scalar(
            insert(IdempotencyKeyRow)
            .values(asdict(claim))
            .on_conflict_do_nothing()
            .returning(IdempotencyKeyRow.key_hash)
        )
        if made is not None:
            return None
        standing = await find(session, claim.tenant, claim.key_hash, now=claim.created_at)
        if standing is not None:
            return standing
    raise DatabaseUnavailableError("claims on this Idempotency-Key come and go")


async def finish(session: AsyncSession, claim: Claim, job_uid: str) -> None:
    """Note which OctoJob the claim became.

    Puts the claim back if another request with the key was refused and took it away meanwhile.
    """
    await session.execute(
        insert(IdempotencyKeyRow)
        .values({**asdict(claim), "job_uid": job_uid})
        .on_conflict_do_update(
            index_elements=["tenant", "key_hash"],
            set_={"job_uid": job_uid},
            where=IdempotencyKeyRow.fingerprint == claim.fingerprint,
        )
    )


async def drop(session: AsyncSession, claim: Claim) -> None:
    """Take back a claim from which nothing came."""
    await session.execute(
        delete(IdempotencyKeyRow).where(
            IdempotencyKeyRow.tenant == claim.tenant,
            IdempotencyKeyRow.key_hash == claim.key_hash,
            IdempotencyKeyRow.job_uid.is_(None),
        )
    )


async def lock_unfinished(
    session: AsyncSession, *, made_before: datetime, made_after: datetime | None = None
) -> Claim | None:
    """The oldest claim in that span without an OctoJob, locked; one that another sweeper holds is skipped."""
    statement = select(IdempotencyKeyRow).where(
        IdempotencyKeyRow.job_uid.is_(None), IdempotencyKeyRow.created_at < made_before
    )
    if made_after is not None:
        statement = statement.where(IdempotencyKeyRow.created_at > made_after)
    row = await session.scalar(
        statement.order_by(IdempotencyKeyRow.created_at).limit(1).with_for_update(skip_locked=True)
    )
    return None if row is None else _claim(row)


async def delete_expired(session: AsyncSession, *, now: datetime, limit: int = 1000) -> None:
    """Forget claims whose time is over; unfinished ones stay for the sweeper."""
    expired = (
        select(IdempotencyKeyRow.tenant, IdempotencyKeyRow.key_hash)
        .where(IdempotencyKeyRow.expires_at <= now, IdempotencyKeyRow.job_uid.is_not(None))
        .order_by(IdempotencyKeyRow.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    await session.execute(
        delete(IdempotencyKeyRow).where(
            IdempotencyKeyRow.tenant == expired.c.tenant, IdempotencyKeyRow.key_hash == expired.c.key_hash
        )
    )


def _claim(row: IdempotencyKeyRow) -> Claim:
    return Claim(
        tenant=row.tenant,
        key_hash=row.key_hash,
        fingerprint=row.fingerprint,
        namespace=row.namespace,
        job_name=row.job_name,
        manifest=row.manifest,
        created_at=row.created_at,
        expires_at=row.expires_at,
        job_uid=row.job_uid,
    )
