"""SQL on what a cluster that is gone has left in ``jobs``; ``octo_core.db.mirrors`` sets it aside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db import idempotency
from octo_core.db.projection import mark_deleted
from octo_core.db.tables import JobRow
from octo_core.domain.states import CLUSTER_LOST


@dataclass(frozen=True, slots=True)
class LostRun:
    """What is known of an OctoJob that nobody will see again."""

    uid: str
    name: str
    state: str
    labels: dict[str, Any]
    spec: dict[str, Any]


async def page(session: AsyncSession, namespace: str, *, after: str, limit: int) -> list[LostRun]:
    """Lost runs of a namespace by uid, beginning behind ``after``."""
    columns = [JobRow.__table__.columns[field.name] for field in fields(LostRun)]
    rows = await session.execute(
        select(*columns)
        .where(
            JobRow.namespace == namespace,
            JobRow.deleted_at.is_(None),
            JobRow.lost_cluster.is_not(None),
            JobRow.uid > after,
        )
        .order_by(JobRow.uid)
        .limit(limit)
    )
    return [LostRun(*row) for row in rows]


async def settle(session: AsyncSession, uids: Iterable[str], *, now: datetime) -> None:
    """They are history now: those that were over as they ended, the others as Cancelled, for the reason ClusterLost."""
    await mark_deleted(session, uids, now=now, reason=CLUSTER_LOST)


async def replace(session: AsyncSession, uid: str, *, by: str, now: datetime) -> None:
    """Settle one that another run was made for; its Idempotency-Key stands for that one from now on."""
    await settle(session, [uid], now=now)
    await idempotency.move(session, from_uid=uid, to_uid=by)
