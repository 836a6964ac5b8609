"""SQL on ``mirrors``: which controller of which cluster writes the rows of a namespace.

A controller finds its own claim in every transaction that it writes in. Where it does not, Postgres is not the
database that it wrote to before: a new one, or one from an older backup; and where the claim is another cluster's,
the rows tell of OctoJobs that this cluster never had, and must not be taken for deleted ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import JobRow, MirrorRow, ProviderRow


class Found(Enum):
    """What stood there before a claim."""

    OWN = "own"
    """The same claim."""
    EARLIER = "earlier"
    """That of another process of the same cluster."""
    NOTHING = "nothing"
    """None."""
    OTHER_CLUSTER = "other cluster"
    """That of a controller of another cluster, whose rows are set aside now."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who mirrors: a controller (one of the shards of a namespace), as the process that has drawn ``token``.

    ``cluster`` is the uid of its namespace, None if it may not look.
    """

    namespace: str
    controller: str
    token: str
    cluster: str | None


async def claim(session: AsyncSession, wanted: Claim, *, now: datetime) -> Found:
    """See that the claim stands. Rows of another cluster's OctoJobs are set aside: they stay as they are."""
    own = select(MirrorRow.token, MirrorRow.cluster).where(
        MirrorRow.namespace == wanted.namespace, MirrorRow.controller == wanted.controller
    )
    before = (await session.execute(own)).one_or_none()
    if before is not None and before.token == wanted.token and wanted.cluster in (None, before.cluster):
        return Found.OWN
    others: set[str] = set()
    if wanted.cluster is not None:
        others = await set_aside(session, wanted.namespace, wanted.cluster)
    values = {"token": wanted.token, "cluster": wanted.cluster, "claimed_at": now}
    statement = insert(MirrorRow).values(namespace=wanted.namespace, controller=wanted.controller, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["namespace", "controller"], set_=values))
    if others:
        return Found.OTHER_CLUSTER
    return Found.NOTHING if before is None else Found.EARLIER


async def forget(session: AsyncSession) -> None:
    """Have all controllers mirror what is in their clusters once more."""
    await session.execute(delete(MirrorRow))


async def set_aside(session: AsyncSession, namespace: str, cluster: str) -> set[str]:
    """Mark what other clusters have left, and take back what was marked as this one's; the other clusters."""
    claims = await session.execute(
        select(MirrorRow.controller, MirrorRow.cluster)
        .where(MirrorRow.namespace == namespace)
        .order_by(MirrorRow.controller)
        .with_for_update()
    )
    others = {row.cluster for row in claims if row.cluster not in (None, cluster)}
    for other in sorted(others):
        await _move(session, namespace, before=None, after=other)
    if others:
        await session.execute(delete(MirrorRow).where(MirrorRow.namespace == namespace, MirrorRow.cluster.in_(others)))
        await _move(session, namespace, before=cluster, after=None)
    return others


async def _move(session: AsyncSession, namespace: str, *, before: str | None, after: str | None) -> None:
    # Locked in the order of their uid, as all do.
    there = (
        select(JobRow.uid)
        .where(
            JobRow.namespace == namespace, JobRow.deleted_at.is_(None), JobRow.lost_cluster.is_not_distinct_from(before)
        )
        .order_by(JobRow.uid)
        .with_for_update()
    )
    uids = list(await session.scalars(there))
    if uids:
        await session.execute(update(JobRow), [{"uid": uid, "lost_cluster": after} for uid in uids])
    await session.execute(
        update(ProviderRow)
        .where(ProviderRow.namespace == namespace, ProviderRow.lost_cluster.is_not_distinct_from(before))
        .values(lost_cluster=after)
    )
