"""SQL on ``providers``: OctoProviders as they were last seen, for a cluster that has lost them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.crd.resources import Raw
from octo_core.db.tables import ProviderRow
from octo_core.domain.text import without_nul


@dataclass(frozen=True, slots=True)
class ProviderCopy:
    """What it takes to make an OctoProvider again."""

    name: str
    uid: str
    generation: int
    labels: dict[str, Any]
    annotations: dict[str, Any]
    spec: dict[str, Any]


def copy_of(raw: Raw) -> ProviderCopy:
    """Of a raw OctoProvider."""
    meta = raw["metadata"]
    return ProviderCopy(
        name=meta["name"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        labels=meta.get("labels") or {},
        annotations=without_nul(meta.get("annotations") or {}),
        spec=without_nul(raw.get("spec") or {}),
    )


async def names(session: AsyncSession, namespace: str) -> set[str]:
    """Of those that this cluster has, or had."""
    rows = await session.scalars(
        select(ProviderRow.name).where(ProviderRow.namespace == namespace, ProviderRow.lost_cluster.is_(None))
    )
    return set(rows)


async def put(session: AsyncSession, namespace: str, copies: Sequence[ProviderCopy], *, now: datetime) -> None:
    """Write them over what stands there."""
    if not copies:
        return
    rows = [
        {
            "namespace": namespace,
            "name": copy.name,
            "uid": copy.uid,
            "generation": copy.generation,
            "labels": copy.labels,
            "annotations": copy.annotations,
            "spec": copy.spec,
            "mirrored_at": now,
            "lost_cluster": None,
        }
        for copy in sorted(copies, key=lambda copy: copy.name)
    ]
    statement = insert(ProviderRow)
    changes = {name: statement.excluded[name] for name in rows[0] if name not in ("namespace", "name")}
    await session.execute(statement.on_conflict_do_update(index_elements=["namespace", "name"], set_=changes), rows)


async def remove(session: AsyncSession, namespace: str, gone: Collection[str]) -> None:
    """Forget those that were deleted."""
    if gone:
        await session.execute(
            delete(ProviderRow).where(ProviderRow.namespace == namespace, ProviderRow.name.in_(sorted(gone)))
        )


async def lost(session: AsyncSession, namespace: str) -> list[ProviderCopy]:
    """Those of a cluster that is gone, by name."""
    columns = [ProviderRow.__table__.columns[field.name] for field in fields(ProviderCopy)]
    rows = await session.execute(
        select(*columns)
        .where(ProviderRow.namespace == namespace, ProviderRow.lost_cluster.is_not(None))
        .order_by(ProviderRow.name)
    )
    return [ProviderCopy(*row) for row in rows]
