"""The Kubernetes API over the model of a cluster, with a fate for each write: done, refused, lost on the way back."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from octo_controller.reconcile.world import Kind
from octo_core.domain.errors import AlreadyExistsError, ClusterUnavailableError, ConflictError, NotFoundError
from octo_core.domain.model import rfc3339
from octo_core.domain.names import child_name
from octo_core.kube.resources import JOBS, OCTOJOBS, PODS, Resource
from tests.unit.octo_controller.reconcile.merging import merged
from tests.unit.octo_controller.reconcile.simulation import Cluster, copied

Raw = dict[str, Any]


class Fate(Enum):
    """What becomes of a write."""

    DONE = "done"
    REFUSED = "refused"
    """It is not done, and the caller is told to come again: 429, 500, no connection."""
    UNANSWERED = "unanswered"
    """It is done, and the caller is told nothing but that the connection broke."""
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"


class KilledError(Exception):
    """The process is gone."""


class ClusterApi:
    """The calls of ``KubeClient`` that the controller makes. ``tell`` sends the watch's events."""

    def __init__(self, cluster: Cluster, tell: Callable[..., None]) -> None:
        self._cluster = cluster
        self._tell = tell
        self.fates: list[Fate] = []
        """Of the next writes, in order; those after the last are done."""

    def _held(self, resource: Resource) -> dict[str, Raw]:
        return {OCTOJOBS: self._cluster.jobs, JOBS: self._cluster.children}[resource]

    def _write(self, do: Callable[[], Raw]) -> Raw:
        fate = self.fates.pop(0) if self.fates else Fate.DONE
        if fate is Fate.REFUSED:
            raise ClusterUnavailableError("429")
        if fate is Fate.KILLED_BEFORE:
            raise KilledError
        done = do()
        if fate is Fate.UNANSWERED:
            raise ClusterUnavailableError("broken connection")
        if fate is Fate.KILLED_AFTER:
            raise KilledError
        return copied(done)  # type: ignore[no-any-return]

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Raw:
        try:
            return copied(self._held(resource)[name])  # type: ignore[no-any-return]
        except KeyError:
            raise NotFoundError(name) from None

    async def list_page(self, resource: Resource, namespace: str | None, **query: Any) -> Raw:
        if resource is not PODS:
            return {"metadata": {}, "items": []}
        label, _, asked = query["label_selector"].replace(" in (", "=").rstrip(")").partition("=")
        items = []
        for child in asked.split(","):
            for raw in (pod.raw() for pod in self._cluster.pods.get(child, ())):
                raw["metadata"]["labels"] = {label: child}
                items.append(raw)
        return {"items": items, "metadata": {}}

    async def pod_log(self, *_: Any, **__: Any) -> str:
        return "last words"

    async def create(self, resource: Resource, namespace: str | None, body: Raw) -> Raw:
        assert resource is JOBS
        return self._write(lambda: self._create_child(copied(body)))

    def _create_child(self, body: Raw) -> Raw:
        cluster, meta = self._cluster, body["metadata"]
        name, owner = meta["name"], meta["ownerReferences"][0]
        if name in cluster.children:
            raise AlreadyExistsError(name)
        job = cluster.jobs.get(owner["name"])
        status = (job or {}).get("status") or {}
        recorded = [child_name(owner["name"], attempt["number"]) for attempt in status.get("attempts", ())]
        assert name not in recorded, "an attempt that is written down was made again"
        if (owner["uid"], name) in cluster.created:
            alive = [pod.name for pod in cluster.pods.get(name, ()) if pod.phase in ("Pending", "Running")]
            assert not alive, "an attempt was made again whose pods still run"
            if (owner["uid"], name) not in cluster.unwritten:
                assert (owner["uid"], name) not in cluster.seen_by_this_process, "one process made an attempt twice"
        cluster.created.append((owner["uid"], name))
        cluster.seen_by_this_process.add((owner["uid"], name))
        meta |= {"uid": f"{name}-{cluster.version}", "creationTimestamp": rfc3339(cluster.now)}
        body["status"] = {}
        cluster.children[name] = cluster.touch(body)
        cluster.pods[name] = []
        self._tell(Kind.CHILD, body)
        return body

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, body: Raw, *, subresource: str | None = None
    ) -> Raw:
        return self._write(lambda: self._patch(resource, name, body, subresource))

    def _patch(self, resource: Resource, name: str, body: Raw, subresource: str | None) -> Raw:
        held = self._held(resource)
        if name not in held:
            raise NotFoundError(name)
        before = held[name]
        version = before["metadata"]["resourceVersion"]
        if body.get("metadata", {}).get("resourceVersion", version) != version:
            raise ConflictError(name)
        after = merged(before, body)
        if subresource == "status":
            after = {**before, "status": after["status"], "metadata": dict(before["metadata"])}
        elif "spec" in body:
            after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        held[name] = self._cluster.touch(after)
        if resource is OCTOJOBS and after["metadata"].get("deletionTimestamp") and not after["metadata"]["finalizers"]:
            self._cluster.collect(name, self._tell)
        else:
            self._tell(Kind.JOB if resource is OCTOJOBS else Kind.CHILD, after)
        return after

    async def delete(self, resource: Resource, namespace: str | None, name: str, **options: Any) -> None:
        self._write(lambda: self._delete(resource, name, options))

    def _delete(self, resource: Resource, name: str, options: dict[str, Any]) -> Raw:
        if resource is PODS:
            return self._delete_pod(name, options)
        held = self._held(resource)
        raw = held.get(name)
        if raw is None:
            raise NotFoundError(name)
        if raw["metadata"]["uid"] != options.get("uid"):
            raise ConflictError(name)
        if "deletionTimestamp" in raw["metadata"]:
            return raw
        stamp = {"metadata": {"deletionTimestamp": rfc3339(self._cluster.now)}}
        held[name] = raw = self._cluster.touch(merged(raw, stamp))
        self._tell(Kind.JOB if resource is OCTOJOBS else Kind.CHILD, raw)
        if resource is JOBS:
            for pod in self._cluster.pods.get(name, ()):
                pod.deletion = pod.deletion or self._cluster.now
        elif not raw["metadata"]["finalizers"]:
            self._cluster.collect(name, self._tell)
        return raw

    def _delete_pod(self, name: str, options: dict[str, Any]) -> Raw:
        for pods in self._cluster.pods.values():
            for pod in [pod for pod in pods if pod.name == name and f"uid-{pod.name}" == options.get("uid")]:
                pod.deletion = pod.deletion or self._cluster.now
                if options.get("grace_period_seconds") == 0:
                    pods.remove(pod)
                return {}
        raise NotFoundError(name)
