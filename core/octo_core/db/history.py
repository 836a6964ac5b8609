"""Rows made from what manifests tell, where Postgres has none, or older ones. Pure additions: nothing newer changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db import files, ledger
from octo_core.db.tables import JobRow
from octo_core.domain.failure import Category
from octo_core.domain.history import PastEnd, PastRun
from octo_core.domain.report import FileResult
from octo_core.domain.status import Failure, ManifestRef, OctoJobStatus, Progress, State

NOT_MIRRORED = Decimal(-1)
"""Version of a row that no OctoJob was seen for; any OctoJob replaces it."""


async def add_files(session: AsyncSession, run: PastRun, rows: Sequence[FileResult], *, namespace: str) -> None:
    """Rows of a run's files, and what of them is stored."""
    await files.record(session, run.uid, run.attempt, rows)
    await ledger.record(
        session, namespace=run.namespace or namespace, provider=run.provider, job_uid=run.uid, files=rows
    )


async def add_run(session: AsyncSession, run: PastRun, end: PastEnd, *, namespace: str, now: datetime) -> None:
    """The run itself, as far as its last manifest tells of it: over, and gone from the cluster.

    If its OctoJob is there after all, the controller's mirror takes the row over.
    """
    values = _values(run, end, namespace=namespace, now=now)
    statement = insert(JobRow).values(values)
    new = statement.excluded
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["uid"],
            set_={name: new[name] for name in values if name not in ("uid", "last_event")},
            where=and_(JobRow.resource_version == NOT_MIRRORED, new.attempt >= JobRow.attempt),
        )
    )


def _values(run: PastRun, end: PastEnd, *, namespace: str, now: datetime) -> dict[str, Any]:
    state = State.SUCCEEDED
    if end.category is not None:
        state = State.CANCELLED if end.category is Category.CANCELLED else State.FAILED
    status = OctoJobStatus(
        state=state,
        attempt=run.attempt,
        completion_time=run.ended_at,
        progress=Progress(files_done=end.files, files_failed=end.failed),
        failure=Failure(category=end.category, reason=end.reason) if state is State.FAILED and end.category else None,
        manifest_ref=ManifestRef(uri=end.uri, sha256=end.sha256),
    )
    return {
        "uid": run.uid,
        "namespace": run.namespace or namespace,
        "name": run.name,
        "provider": run.provider,
        "resource_version": NOT_MIRRORED,
        "generation": 0,
        "state": state.value,
        "reason": end.reason,
        "attempt": run.attempt,
        "failure_category": end.category.value if state is State.FAILED and end.category else None,
        "priority": 0,
        "labels": {},
        "spec": {"providerRef": {"name": run.provider}},
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True),
        "created_at": run.created_at or run.ended_at,
        "finished_at": run.ended_at,
        "deleted_at": now,
        "last_event": 0,
        "mirrored_at": now,
    }
