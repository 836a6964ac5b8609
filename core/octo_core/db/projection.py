"""An OctoJob as a row of ``jobs``: only forward, whoever writes it and however often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.crd.resources import Raw, parse_time
from octo_core.db import events
from octo_core.db.events import NewEvent
from octo_core.db.new_jobs import insert_new
from octo_core.db.tables import JobRow
from octo_core.domain.events import EventType, Seen, job_changes
from octo_core.domain.model import rfc3339
from octo_core.domain.states import DELETED
from octo_core.domain.status import ConditionType, State
from octo_core.domain.text import without_nul


def job_values(raw: Raw) -> dict[str, Any]:
    """The columns of ``jobs`` that an OctoJob determines."""
    meta, spec = raw["metadata"], raw.get("spec", {})
    status = raw.get("status") or {}
    reason = next((c["reason"] for c in status.get("conditions", ()) if c["type"] == ConditionType.SUCCEEDED), None)
    return {
        "uid": meta["uid"],
        "namespace": meta["namespace"],
        "name": meta["name"],
        "provider": spec["providerRef"]["name"],
        "resource_version": Decimal(meta["resourceVersion"]),
        "generation": meta.get("generation", 0),
        "state": status.get("state", State.PENDING.value),
        "reason": reason,
        "attempt": status.get("attempt", 0),
        "failure_category": status.get("failure", {}).get("category"),
        "priority": spec.get("priority", 0),
        "requested_by": spec.get("requestedBy"),
        "rerun_of": spec.get("rerunOf", {}).get("uid"),
        "schedule": spec.get("scheduleRef", {}).get("name"),
        "idempotency_key_hash": spec.get("idempotency", {}).get("keyHash"),
        "labels": meta.get("labels", {}),
        "spec": without_nul(spec),
        "status": without_nul(status),
        "created_at": parse_time(meta["creationTimestamp"]),
        "started_at": _time(status.get("startTime")),
        "finished_at": _time(status.get("completionTime")),
    }


async def project(session: AsyncSession, jobs: Iterable[Raw], *, now: datetime) -> dict[str, Decimal]:
    """Write the rows of ``jobs`` that are newer than what stands there, with an event for each new state.

    Returns the resourceVersion of each row that moved forward, by uid.
    Rows are locked in the order of their uid, so that two writers never deadlock.
    """
    newest: dict[str, dict[str, Any]] = {}
    for raw in jobs:
        values = job_values(raw)
        known = newest.get(values["uid"])
        if known is None or known["resource_version"] < values["resource_version"]:
            newest[values["uid"]] = values
    if not newest:
        return {}
    ordered = [newest[uid] for uid in sorted(newest)]
    # All rows are inserted before any is locked: whoever waits here holds only rows that nobody else can see, with
    # lower uids; whoever waits below holds rows with lower uids. Locking first and inserting the rest would deadlock.
    made = await _insert(session, ordered, now=now)
    versions = {uid: newest[uid]["resource_version"] for uid in made}
    others = [values for values in ordered if values["uid"] not in made]
    if others:
        versions |= await _move_forward(session, others, now=now)
    return versions


async def _insert(session: AsyncSession, ordered: Sequence[dict[str, Any]], *, now: datetime) -> frozenset[str]:
    """Write those that have no row yet; returns the uids of these."""
    rows: list[dict[str, Any]] = []
    told: list[NewEvent] = []
    for values in ordered:
        first = _events(values, None, last=0, at=now)
        rows.append({**values, "last_event": len(first), "mirrored_at": now})
        told += first
    return await insert_new(session, rows, told)


async def _move_forward(
    session: AsyncSession, ordered: Sequence[dict[str, Any]], *, now: datetime
) -> dict[str, Decimal]:
    """Write those that are newer than their row; returns the versions of these."""
    rows = await session.execute(
        select(
            JobRow.uid,
            JobRow.resource_version,
            JobRow.state,
            JobRow.attempt,
            JobRow.last_event,
            JobRow.deleted_at,
        )
        .where(JobRow.uid.in_([values["uid"] for values in ordered]))
        .order_by(JobRow.uid)
        .with_for_update()
    )
    before = {row.uid: row for row in rows}
    versions: dict[str, Decimal] = {}
    changes: list[dict[str, Any]] = []
    told: list[NewEvent] = []
    for values in ordered:
        row = before[values["uid"]]
        if row.resource_version >= values["resource_version"]:
            continue
        # One that was made from its manifest has no version, and is taken for gone, until its OctoJob is seen.
        seen = Seen(row.state, row.attempt) if row.resource_version >= 0 else None
        news = _events(values, seen, last=row.last_event, at=now)
        told += news
        changes.append(
            {
                **values,
                "last_event": row.last_event + len(news),
                "mirrored_at": now,
                "deleted_at": row.deleted_at if seen is not None else None,
                "lost_cluster": None,
            }
        )
        versions[values["uid"]] = values["resource_version"]
    if changes:
        await session.execute(update(JobRow), changes)
    await events.append(session, told)
    return versions


async def mark_deleted(session: AsyncSession, uids: Iterable[str], *, now: datetime, reason: str = DELETED) -> None:
    """Note that these OctoJobs are gone from the cluster; their rows stay.

    One that went without its last state being seen (its finalizer was taken away, or failed open while Postgres and
    then the controller were away) took its Job and pods with it: its run ends here as Cancelled, for ``reason``,
    rather than stay Running for ever.
    """
    rows = await session.execute(
        select(
            JobRow.uid,
            JobRow.namespace,
            JobRow.provider,
            JobRow.state,
            JobRow.attempt,
            JobRow.reason,
            JobRow.status,
            JobRow.finished_at,
            JobRow.last_event,
        )
        .where(JobRow.uid.in_(sorted(uids)), JobRow.deleted_at.is_(None))
        .order_by(JobRow.uid)
        .with_for_update()
    )
    changes: list[dict[str, Any]] = []
    told: list[NewEvent] = []
    for row in rows:
        values, seen, seq = row._asdict(), Seen(row.state, row.attempt), row.last_event
        kinds: list[EventType] = []
        if not State(row.state).terminal:
            values |= {"state": State.CANCELLED.value, "reason": reason, "finished_at": now}
            values["status"] = {**row.status, "state": State.CANCELLED.value, "completionTime": rfc3339(now)}
            kinds += job_changes(seen, Seen(values["state"], row.attempt))
        for kind in (*kinds, EventType.JOB_DELETED):
            seq += 1
            told.append(_event(kind, values, seen, seq=seq, at=now))
            seen = Seen(values["state"], row.attempt)
        kept = {name: values[name] for name in ("uid", "state", "reason", "status", "finished_at")}
        changes.append({**kept, "deleted_at": now, "last_event": seq})
    if changes:
        await session.execute(update(JobRow), changes)
    await events.append(session, told)


async def live_versions(session: AsyncSession, namespace: str) -> dict[str, int]:
    """Rows of a namespace whose OctoJob was not seen to be gone, by uid, and the resourceVersion that each is of; a
    resync compares them with the cluster. Not those of a cluster that is gone itself."""
    rows = await session.execute(
        select(JobRow.uid, JobRow.resource_version).where(
            JobRow.namespace == namespace, JobRow.deleted_at.is_(None), JobRow.lost_cluster.is_(None)
        )
    )
    return {uid: int(version) for uid, version in rows}


def _events(values: Mapping[str, Any], seen: Seen | None, *, last: int, at: datetime) -> list[NewEvent]:
    """What has happened to a run since it was seen, in numbers behind ``last``."""
    kinds = job_changes(seen, Seen(values["state"], values["attempt"]))
    return [_event(kind, values, seen, seq=seq, at=at) for seq, kind in enumerate(kinds, last + 1)]


def _event(kind: EventType, values: Mapping[str, Any], before: Seen | None, *, seq: int, at: datetime) -> NewEvent:
    """An event of a run whose row has, or gets, these values."""
    status = values.get("status", {})
    first = kind is EventType.JOB_CREATED
    data = {
        "state": State.PENDING.value if first else values["state"],
        "previousState": before.state if before else None if first else State.PENDING.value,
        "attempt": 0 if first else values["attempt"],
        "reason": None if first else values["reason"],
    }
    if kind is EventType.JOB_FAILED and "failure" in status:
        kept = ("category", "reason", "message", "resolution", "retryable")
        data["failure"] = {name: status["failure"][name] for name in kept if name in status["failure"]}
    if kind.ends_job and "progress" in status:
        data["progress"] = status["progress"]
    return NewEvent(
        namespace=values["namespace"],
        type=kind.value,
        at=at,
        data=data,
        provider=values["provider"],
        job_uid=values["uid"],
        seq=seq,
    )


def _time(value: str | None) -> datetime | None:
    return parse_time(value) if value else None
