"""Writes the audit rows of requests whose process was killed: what they said they would do, and whether it was done."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from octo_api.audit.log import GONE_AWAY, AuditLog
from octo_api.metrics import Metrics
from octo_core.crd.resources import Raw
from octo_core.db import audit, audit_intents, idempotency
from octo_core.db.audit import AuditEntry, AuditOutcome
from octo_core.db.audit_intents import Intent
from octo_core.db.session import Database
from octo_core.domain.errors import NotFoundError
from octo_core.domain.model import rfc3339
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS, OCTOPROVIDERS

logger = logging.getLogger("octo.audit")

_RESOURCES: Final = {resource.plural: resource for resource in (OCTOJOBS, OCTOPROVIDERS)}
_BATCH = 100
_CLOCK_SLACK = timedelta(hours=1)
"""Clocks of api and API server may differ by this much."""


class Finding(StrEnum):
    """Whether a change was made."""

    DONE = "Done"
    NOT_DONE = "NotDone"
    UNKNOWN = "Unknown"
    """The object has changed again since, or is gone."""


class AuditRepair:
    """Any number may run at once: the row is written by the one that takes the intent away."""

    def __init__(
        self,
        database: Database,
        kube: KubeClient,
        log: AuditLog,
        *,
        metrics: Metrics,
        clock: Callable[[], datetime],
        older_than: timedelta,
    ) -> None:
        self._database = database
        self._kube = kube
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._older_than = older_than

    async def round(self) -> int:
        """Write the row of each request that is due; returns of how many.

        Raises ClusterUnavailableError or DatabaseUnavailableError; the rest then waits for the next round.
        """
        # Rows of this process that could not be written for a while know more than can be found out.
        await self._log.flush(self._database)
        async with self._database.transaction() as session:
            due = await audit_intents.left_open(session, before=self._clock() - self._older_than, limit=_BATCH)
        repaired = 0
        for intent_id in due:
            repaired += await self._repair(intent_id)
        return repaired

    async def _repair(self, intent_id: str) -> bool:
        async with self._database.reading() as session:
            parts = await audit_intents.of_request(session, intent_id)
        # With no connection in hand: Kubernetes may take its time, and requests need theirs.
        found = [await self._look(part) for part in parts]
        if not parts or None in found:
            return False
        entry = _entry(parts, [finding for finding in found if finding is not None], now=self._clock())
        async with self._database.transaction() as session:
            await audit.add(session, (entry,))
        self._metrics.audit_repairs.inc()
        logger.info("%s was cut off", entry.action, extra={"actor": entry.actor, "resource": entry.resource})
        return True

    async def _look(self, intent: Intent) -> tuple[Finding, str | None] | None:
        """Whether it was done, and to what if that is known now; None if it is not decided yet."""
        probe = intent.probe
        if probe["kind"] == "committed":
            return Finding.DONE, None
        if probe["kind"] == "claim":
            async with self._database.reading() as session:
                claim = await idempotency.find_any(session, probe["tenant"], probe["keyHash"])
            if claim is None:
                return Finding.NOT_DONE, None
            # Without an OctoJob, the sweeper will make it or take the claim back.
            return None if claim.job_uid is None else (Finding.DONE, claim.job_uid)
        try:
            found = await self._kube.get(_RESOURCES[probe["resource"]], probe["namespace"], probe["name"])
        except NotFoundError:
            found = None
        return finding_of(probe, found, asked_at=intent.at), None


def finding_of(probe: Mapping[str, Any], found: Raw | None, *, asked_at: datetime) -> Finding:
    """Whether a write to Kubernetes was done, by the object as it is now."""
    kind, uid = probe["kind"], probe.get("uid")
    there = found is not None and (uid is None or found["metadata"]["uid"] == uid)
    if kind == "deleted":
        return Finding.NOT_DONE if there and found and "deletionTimestamp" not in found["metadata"] else Finding.DONE
    if found is None or not there:
        return Finding.UNKNOWN if kind == "changed" else Finding.NOT_DONE
    if kind == "created":
        made_at = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
        return (
            Finding.DONE if made_at > asked_at - _CLOCK_SLACK and _holds(probe["change"], found) else Finding.NOT_DONE
        )
    if found["metadata"].get("resourceVersion") == probe["resourceVersion"]:
        return Finding.NOT_DONE
    return Finding.DONE if _holds(probe["change"], found) else Finding.UNKNOWN


def _holds(change: Any, found: Any) -> bool:
    """Whether a merge patch would change nothing any more."""
    if not isinstance(change, dict):
        return bool(change == found)
    return isinstance(found, dict) and all(
        key not in found if value is None else _holds(value, found.get(key)) for key, value in change.items()
    )


def _entry(parts: Sequence[Intent], found: Sequence[tuple[Finding, str | None]], *, now: datetime) -> AuditEntry:
    """The row. Nobody got an answer, as if the client had not waited for it."""
    first = parts[0]
    counts = Counter(str(finding) for finding, _ in found)
    known = next((resource for _, resource in found if resource is not None), None) if len(parts) == 1 else None
    details: dict[str, Any] = {
        **first.entry["details"],
        "interrupted": dict(sorted(counts.items())),
        "repairedAt": rfc3339(now),
    }
    return AuditEntry(
        **{**first.entry, "details": details, "resource": first.entry["resource"] or known},
        at=first.at,
        outcome=AuditOutcome.ALLOWED,
        status=GONE_AWAY,
        intent=first.id,
        intended=True,
    )
