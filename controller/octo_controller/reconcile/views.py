"""From raw Jobs and pods to the few facts that decisions go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from octo_controller.reconcile.manifest import CONTAINER
from octo_controller.reconcile.model import Ended, JobView, PodView
from octo_core.crd.resources import parse_time
from octo_core.domain.names import LABEL_ATTEMPT, LABEL_QUEUE
from octo_core.domain.shard import INDEX_ANNOTATION

Raw = dict[str, Any]


def job_view(raw: Raw) -> JobView:
    """A batch/v1 Job with Octo's labels."""
    meta, spec, status = raw["metadata"], raw.get("spec", {}), raw.get("status") or {}
    owner: Raw = next((ref for ref in meta.get("ownerReferences", ()) if ref.get("controller")), {})
    conditions = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    failed: Raw = conditions.get("Failed", {})
    label = meta.get("labels", {}).get(LABEL_ATTEMPT, "")
    return JobView(
        name=meta["name"],
        uid=meta["uid"],
        attempt=int(label) if label.isdigit() else 0,
        owner_name=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        created=parse_time(meta["creationTimestamp"]),
        started=_time(status.get("startTime")),
        ready=status.get("ready") or 0,
        active=status.get("active") or 0,
        grace=spec.get("template", {}).get("spec", {}).get("terminationGracePeriodSeconds"),
        workers=spec.get("completions") or 1,
        succeeded=frozenset(_indexes(status.get("completedIndexes"))),
        unsuccessful=frozenset(_indexes(status.get("failedIndexes"))),
        suspended=bool(spec.get("suspend")),
        queue=meta.get("labels", {}).get(LABEL_QUEUE, ""),
        complete="Complete" in conditions,
        failed="Failed" in conditions,
        failed_reason=failed.get("reason", ""),
        failed_message=failed.get("message", ""),
        deletion=_time(meta.get("deletionTimestamp")),
    )


def pod_view(raw: Raw, *, warnings: Iterable[str] = ()) -> PodView:
    """A pod of a run; ``warnings`` are messages of its Warning events."""
    meta, status = raw["metadata"], raw.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    containers = status.get("containerStatuses") or ()
    state: Raw = next((c.get("state") or {} for c in containers if c["name"] == CONTAINER), {})
    ended = state.get("terminated")
    waiting: Raw = state.get("waiting") or {}
    scheduled, disruption = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
    disrupted = disruption.get("status") == "True"
    index = meta.get("annotations", {}).get(INDEX_ANNOTATION, "")
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        phase=status.get("phase", "Pending"),
        index=int(index) if index.isdigit() else 0,
        running="running" in state,
        ended=_ended(ended) if ended else None,
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        disrupted=disrupted,
        disruption=disruption.get("reason", "") if disrupted else "",
        unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        waiting=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        warnings=tuple(warnings),
        deletion=_time(meta.get("deletionTimestamp")),
    )


def _indexes(text: str | None) -> Iterator[int]:
    """The numbers of Kubernetes' notation for them: ``0,2-4``."""
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            yield from range(int(first), int(last or first) + 1)


def _ended(state: Raw) -> Ended:
    return Ended(state["exitCode"], state.get("reason", ""), state.get("message", ""), _time(state.get("finishedAt")))


def _time(value: str | None) -> datetime | None:
    return parse_time(value) if value else None
