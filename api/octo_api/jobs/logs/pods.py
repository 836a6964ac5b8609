"""Logs as the cluster has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from octo_api.errors import acting_on_cluster
from octo_api.jobs.logs.lines import Line, bounded, parse
from octo_core.crd.resources import Raw, parse_time
from octo_core.domain import names
from octo_core.domain.shard import INDEX_ANNOTATION
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import PODS

READ_BYTES = 4 << 20
_TAIL_LINES = 5000


@dataclass(frozen=True, slots=True)
class RunPod:
    """A pod of a run."""

    namespace: str
    name: str
    uid: str
    container: str
    job_uid: str
    attempt: int
    worker: int
    created_at: datetime
    ended: bool
    leaving: bool
    """Whether it was told to end, so that it may be gone soon."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A log as far as it is written; ``tail`` is None unless it is so long that its middle was left out."""

    head: list[Line]
    tail: list[Line] | None
    whole: bool = True
    """Whether it goes to what was the end when it was read."""


def run_pod(raw: Raw) -> RunPod | None:
    """A pod with Octo's labels that may have a log by now, else None."""
    meta, status = raw["metadata"], raw.get("status") or {}
    labels = meta.get("labels") or {}
    attempt = labels.get(names.LABEL_ATTEMPT, "")
    containers = raw.get("spec", {}).get("containers") or ()
    if names.LABEL_JOB_UID not in labels or not attempt.isdecimal() or not containers:
        return None
    phase = status.get("phase", "Pending")
    if phase == "Pending":
        return None
    index = (meta.get("annotations") or {}).get(INDEX_ANNOTATION, "")
    return RunPod(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        container=containers[0]["name"],
        job_uid=labels[names.LABEL_JOB_UID],
        attempt=int(attempt),
        worker=int(index) if index.isdecimal() else 0,
        created_at=parse_time(meta["creationTimestamp"]),
        ended=phase in ("Succeeded", "Failed"),
        leaving="deletionTimestamp" in meta,
    )


class PodLogs:
    """Reads pods of runs and their logs. Raises ClusterUnavailableError, or ClusterRefusedError."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def pods(self, namespace: str, selector: str) -> list[RunPod]:
        """The pods with these labels that may have a log by now, the oldest first."""
        found = []
        with acting_on_cluster():
            async for raw in self._kube.items(PODS, namespace, label_selector=selector):
                pod = run_pod(raw)
                if pod is not None:
                    found.append(pod)
        return sorted(found, key=lambda pod: (pod.created_at, pod.uid))

    async def read(self, pod: RunPod) -> Reading:
        """The log of a pod. Raises NotFoundError if the pod is gone, InvalidError if it has none yet."""
        raw = await self._raw(pod)
        if len(raw) < READ_BYTES:
            return Reading(_lines(raw), None)
        head, tail = bounded(_lines(raw), _lines(await self._end(pod)))
        return Reading(head, tail)

    async def since(self, pod: RunPod, at: datetime) -> Reading:
        """The lines from that second on, as far as one read goes."""
        raw = await self._raw(pod, since=at)
        return Reading(_lines(raw), None, whole=len(raw) < READ_BYTES)

    async def _end(self, pod: RunPod) -> bytes:
        """The last lines, as many as one read takes: what is over the limit is cut off at the end, which is wanted."""
        count = _TAIL_LINES
        while True:
            raw = await self._raw(pod, tail_lines=count)
            if len(raw) < READ_BYTES or count == 1:
                return raw
            count = max(1, min(count, raw.count(b"\n")) // 2)

    async def _raw(self, pod: RunPod, *, tail_lines: int | None = None, since: datetime | None = None) -> bytes:
        with acting_on_cluster():
            return await self._kube.pod_log_bytes(
                pod.namespace,
                pod.name,
                container=pod.container,
                tail_lines=tail_lines,
                limit_bytes=READ_BYTES,
                timestamps=True,
                since=since,
            )


def _lines(raw: bytes) -> list[Line]:
    if len(raw) >= READ_BYTES:
        # Counted in bytes, the limit falls anywhere in a line, and in a letter.
        raw = raw[: raw.rfind(b"\n") + 1] or raw
    return parse(raw.decode(errors="replace"))
