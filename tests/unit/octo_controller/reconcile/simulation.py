"""A cluster and a mirror in memory, as an API server, a Job controller, kubelets and Kueue keep them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from octo_controller.reconcile.world import Kind
from octo_core.domain.model import rfc3339
from octo_core.domain.names import LABEL_QUEUE
from tests.unit.octo_controller.builders import at

Raw = dict[str, Any]


@dataclass
class Pod:
    """A pod of the model."""

    name: str
    phase: str = "Pending"
    exit_code: int | None = None
    deletion: datetime | None = None
    index: int = 0

    @property
    def alive(self) -> bool:
        return self.phase in ("Pending", "Running")

    def raw(self) -> Raw:
        state: Raw = {"running": {}} if self.phase == "Running" else {}
        if self.exit_code is not None:
            state = {"terminated": {"exitCode": self.exit_code}}
        meta: Raw = {"name": self.name, "uid": f"uid-{self.name}", "creationTimestamp": rfc3339(at(0))}
        meta["annotations"] = {"batch.kubernetes.io/job-completion-index": str(self.index)}
        if self.deletion is not None:
            meta["deletionTimestamp"] = rfc3339(self.deletion)
        return {
            "metadata": meta,
            "status": {"phase": self.phase, "containerStatuses": [{"name": "worker", "state": state}]},
        }


def ranges(indexes: set[int]) -> str:
    """Indexes as the status of an Indexed Job has them: ``0,2-4``."""
    parts = []
    for first in sorted(index for index in indexes if index - 1 not in indexes):
        last = first
        while last + 1 in indexes:
            last += 1
        parts.append(str(first) if first == last else f"{first}-{last}")
    return ",".join(parts)


@dataclass
class Cluster:
    """What the API server holds, and what its controllers do."""

    version: int = 100
    seconds: float = 0
    jobs: dict[str, Raw] = field(default_factory=dict)
    children: dict[str, Raw] = field(default_factory=dict)
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    created: list[tuple[str, str]] = field(default_factory=list)
    """Each Job that was ever made: uid of the OctoJob, name of the Job."""
    seen_by_this_process: set[tuple[str, str]] = field(default_factory=set)
    unwritten: set[tuple[str, str]] = field(default_factory=set)
    """Those that somebody deleted before their uid was written down: if the answer to their creation was lost, and no
    watch told of them, nobody can tell them from Jobs that were never made. None of their pods may run even so."""

    @property
    def now(self) -> datetime:
        return at(self.seconds)

    def touch(self, raw: Raw) -> Raw:
        self.version += 1
        raw["metadata"] = {**raw["metadata"], "resourceVersion": str(self.version)}
        return raw

    def collect(self, name: str, tell: Callable[..., None]) -> None:
        """An OctoJob goes, and with it all it owns."""
        raw = self.touch(self.jobs.pop(name))
        tell(Kind.JOB, raw, gone=True)
        for child, held in list(self.children.items()):
            if held["metadata"]["ownerReferences"][0]["uid"] == raw["metadata"]["uid"]:
                self.remove_child(child, tell)
                self.pods.pop(child, None)

    def remove_child(self, name: str, tell: Callable[..., None]) -> None:
        raw = self.touch(self.children.pop(name))
        tell(Kind.CHILD, raw, gone=True)

    def kueue(self, name: str, *, admit: bool, tell: Callable[..., None]) -> None:
        """What Kueue does to a Job that carries its label: let it go, or evict it."""
        raw = self.children[name]
        if bool(raw["spec"].get("suspend")) is admit:
            self.children[name] = self.touch({**raw, "spec": {**raw["spec"], "suspend": not admit}})
            tell(Kind.CHILD, self.children[name])

    def queued(self) -> list[str]:
        """The Jobs that are Kueue's, and not over."""
        return [
            name
            for name, raw in sorted(self.children.items())
            if LABEL_QUEUE in raw["metadata"]["labels"] and not raw["status"].get("conditions")
        ]

    def level_jobs(self, tell: Callable[..., None]) -> None:
        """The Job controller, kubelet and garbage collector, one step each."""
        for name in [name for name in self.pods if name not in self.children]:
            # Its Job was deleted under it: the kubelet ends its pods, and the garbage collector takes them.
            self.pods[name] = [pod for pod in self.pods[name] if not pod.deletion]
            for pod in self.pods[name]:
                pod.deletion = self.now
        for name, raw in list(self.children.items()):
            pods = self.pods.setdefault(name, [])
            done = [c["type"] for c in raw["status"].get("conditions", ())]
            if raw["spec"].get("suspend") or raw["metadata"].get("deletionTimestamp"):
                pods[:] = [pod for pod in pods if not pod.alive and not pod.deletion]
            if raw["metadata"].get("deletionTimestamp"):
                if not pods:
                    self.remove_child(name, tell)
                continue
            if done:
                continue
            status = self._status(name, raw, pods)
            if status != raw["status"]:
                self.children[name] = self.touch({**raw, "status": status})
                tell(Kind.CHILD, self.children[name])

    def _status(self, name: str, raw: Raw, pods: list[Pod]) -> Raw:
        if raw["spec"].get("suspend"):
            return {key: value for key, value in raw["status"].items() if key not in ("active", "ready")}
        workers = raw["spec"]["completions"]
        for index in range(workers):
            if not any(pod.index == index for pod in pods):
                pods.append(Pod(f"{name}-{index}", index=index))
        ended = {phase: {pod.index for pod in pods if pod.phase == phase} for phase in ("Succeeded", "Failed")}
        status: Raw = {
            "active": sum(pod.alive for pod in pods),
            "ready": sum(pod.phase == "Running" for pod in pods),
            "startTime": raw["status"].get("startTime") or rfc3339(self.now),
        }
        if workers > 1:
            status["completedIndexes"] = ranges(ended["Succeeded"])
            status["failedIndexes"] = ranges(ended["Failed"])
        if not status["active"]:
            kind = "Failed" if ended["Failed"] else "Complete"
            status["conditions"] = [{"type": kind, "status": "True"}]
        return status


class Queue:
    """A queue that remembers nothing: the model visits whom it wants."""

    def add(self, key: Any) -> None: ...
    def add_after(self, key: Any, delay: float) -> None: ...
    def forget(self, key: Any) -> None: ...


class Mirror:
    """A mirror that is as far as the model says."""

    def __init__(self) -> None:
        self.offered: dict[str, int] = {}
        self.held: dict[str, int] = {}

    def offer(self, raw: Raw) -> None:
        self.offered[raw["metadata"]["uid"]] = int(raw["metadata"]["resourceVersion"])

    def gone(self, uid: str) -> None:
        self.held.pop(uid, None)

    def holds(self, uid: str, version: str) -> bool:
        return self.held.get(uid, -1) >= int(version)


def copied(raw: Any) -> Any:
    """A deep copy of JSON."""
    if isinstance(raw, dict):
        return {key: copied(value) for key, value in raw.items()}
    return [copied(item) for item in raw] if isinstance(raw, list) else raw
