"""SQL on ``idempotency_keys``: the claim on a request, made before its OctoJob is created."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.crd.resources import Raw
from octo_core.db import audit_intents
from octo_core.db.audit_intents import Intent
from octo_core.db.session import DatabaseContendedError
from octo_core.db.tables import IdempotencyKeyRow


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
    intent: Intent | None = field(default=None, compare=False)
    """Written with the claim, whether it is made or another stands: what its request is about to do."""


def key_of(claim: Claim) -> tuple[str, str]:
    """What a claim is found by; claims are locked in this order."""
    return claim.tenant, claim.key_hash


_COLUMNS = tuple(each.name for each in fields(Claim) if each.name != "intent")
# One document for any number of rows: one statement to prepare, and one round trip.
_DOCUMENT = bindparam("claims", type_=JSONB)
_TAKE = text(
    f"""
    WITH intended AS ({audit_intents.ADD})
    INSERT INTO idempotency_keys
      (tenant, key_hash, fingerprint, namespace, job_name, manifest, created_at, expires_at, job_uid)
    SELECT tenant, key_hash, fingerprint, namespace, job_name, manifest, created_at, expires_at, job_uid
    FROM jsonb_to_recordset(:claims) AS given(
      tenant text, key_hash text, fingerprint text, namespace text, job_name text, manifest jsonb,
      created_at timestamptz, expires_at timestamptz, job_uid text)
    ON CONFLICT DO NOTHING
    RETURNING tenant, key_hash
    """  # noqa: S608 - put together from two constants
).bindparams(_DOCUMENT, audit_intents.INTENTS)
_FINISH = text(
    """
    UPDATE idempotency_keys AS known SET job_uid = held.job_uid
    FROM (
      SELECT found.tenant, found.key_hash, given.job_uid
      FROM jsonb_to_recordset(:claims) AS given(tenant text, key_hash text, fingerprint text, job_uid text)
      JOIN idempotency_keys AS found
        ON found.tenant = given.tenant AND found.key_hash = given.key_hash AND found.fingerprint = given.fingerprint
      ORDER BY found.tenant, found.key_hash
      FOR UPDATE OF found SKIP LOCKED
    ) AS held
    WHERE known.tenant = held.tenant AND known.key_hash = held.key_hash
    RETURNING known.tenant, known.key_hash
    """
).bindparams(_DOCUMENT)


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


async def find_any(session: AsyncSession, tenant: str, key_hash: str) -> Claim | None:
    """The claim on this key, expired or not."""
    row = await session.get(IdempotencyKeyRow, (tenant, key_hash))
    return None if row is None else _claim(row)


async def take(session: AsyncSession, claim: Claim) -> Claim | None:
    """Make the claim, in place of an expired one; None if it was made, else the one that stands.

    Never waits for a sweeper that holds a live row: an upsert would. Raises DatabaseContendedError if
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
            .values(_values(claim))
            .on_conflict_do_nothing()
            .returning(IdempotencyKeyRow.key_hash)
        )
        if made is not None:
            return None
        standing = await find(session, claim.tenant, claim.key_hash, now=claim.created_at)
        if standing is not None:
            return standing
    raise DatabaseContendedError("claims on this Idempotency-Key come and go")


async def take_many(session: AsyncSession, claims: Sequence[Claim]) -> list[Claim | None]:
    """The same for many claims, sorted by ``key_of``; of several on one key, the first makes it."""
    first: dict[tuple[str, str], Claim] = {}
    for claim in claims:
        first.setdefault(key_of(claim), claim)
    made = await _insert(session, first.values(), [claim.intent for claim in claims if claim.intent is not None])
    standing: dict[tuple[str, str], Claim] = {}
    for key, claim in first.items():
        if key not in made:
            # A request that is repeated, or, seldom, one whose key was used before and has expired.
            found = await find(session, *key, now=claim.created_at) or await take(session, claim)
            if found is not None:
                standing[key] = found

    def stands(claim: Claim) -> Claim | None:
        maker = first[key_of(claim)]
        return standing.get(key_of(claim), None if maker is claim else maker)

    return [stands(claim) for claim in claims]


async def finish_many(session: AsyncSession, claims: Sequence[Claim]) -> None:
    """Note of many claims, sorted by ``key_of``, which OctoJob each became: its ``job_uid``.

    Passes over one that a sweeper holds, which is about the same, and puts back one that another request with the key
    took away meanwhile because it was refused.
    """
    latest = {key_of(claim): claim for claim in claims}
    noted = await session.execute(_FINISH, {"claims": [_values(claim) for claim in latest.values()]})
    for row in noted:
        del latest[row.tenant, row.key_hash]
    if latest:
        await _insert(session, latest.values(), ())


async def _insert(session: AsyncSession, claims: Iterable[Claim], intents: Sequence[Intent]) -> set[tuple[str, str]]:
    values = {"claims": [_values(claim) for claim in claims], "intents": list(intents)}
    made = await session.execute(_TAKE, values)
    return {(row.tenant, row.key_hash) for row in made}


async def finish(session: AsyncSession, claim: Claim, job_uid: str) -> None:
    """Note which OctoJob the claim became.

    Puts the claim back if another request with the key was refused and took it away meanwhile.
    """
    await session.execute(
        insert(IdempotencyKeyRow)
        .values({**_values(claim), "job_uid": job_uid})
        .on_conflict_do_update(
            index_elements=["tenant", "key_hash"],
            set_={"job_uid": job_uid},
            where=IdempotencyKeyRow.fingerprint == claim.fingerprint,
        )
    )


async def move(session: AsyncSession, *, from_uid: str, to_uid: str) -> None:
    """Have the key of one run stand for another, which was made in its place."""
    await session.execute(update(IdempotencyKeyRow).where(IdempotencyKeyRow.job_uid == from_uid).values(job_uid=to_uid))


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


def _values(claim: Claim) -> dict[str, Any]:
    # Not by asdict, which copies the whole manifest.
    return {name: getattr(claim, name) for name in _COLUMNS}


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
