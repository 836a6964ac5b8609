"""A controller without watch, mirror and time: the test is all three."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast

from octo_controller.metrics import Metrics
from octo_controller.reconcile.act import Actor
from octo_controller.reconcile.decide import BRIEF_SECONDS
from octo_controller.reconcile.loop import Reconciler
from octo_controller.reconcile.manifest import PodSettings
from octo_controller.reconcile.world import Key, Kind, World
from octo_core.domain.model import rfc3339
from octo_core.domain.names import ARCHIVE_FINALIZER
from octo_core.domain.status import State
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS, OCTOJOBS, OCTOPROVIDERS, PODS
from tests.unit.octo_controller.builders import POLICY, at
from tests.unit.octo_controller.fake_api import FakeApi
from tests.unit.octo_controller.reconcile.merging import merged

Raw = dict[str, Any]


class Queue:
    """Remembers who is to be visited."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def add(self, key: Key) -> None:
        if key not in self.keys:
            self.keys.append(key)

    def add_after(self, key: Key, delay: float) -> None:
        self.add(key)

    def forget(self, key: Key) -> None:
        if key in self.keys:
            self.keys.remove(key)


class Mirror:
    """Has everything, or nothing."""

    def __init__(self) -> None:
        self.up = True
        self.deleted: list[str] = []

    def offer(self, raw: Raw) -> None: ...

    def gone(self, uid: str) -> None:
        self.deleted.append(uid)

    def holds(self, uid: str, version: str) -> bool:
        return self.up


class Rig:
    """A controller without watch, mirror and time: the test is all three."""

    def __init__(self, *, capacity: int | None = None) -> None:
        self.api, self.queue, self.mirror = FakeApi(), Queue(), Mirror()
        self.world = World(self.queue, self.mirror, capacity=capacity)
        self.world.since = at(-1000)
        self.seconds = 1.0
        self.actor = Actor(
            cast(KubeClient, self.api),
            self.world,
            namespace="octo",
            pods=PodSettings(image="w"),
            clock=lambda: self.seconds,
            ended=lambda state: self.ended.append(state),
        )
        self.ended: list[State] = []
        self.metrics = Metrics()
        self.reconciler = Reconciler(self.world, self.actor, policy=POLICY, clock=self.now, metrics=self.metrics)

    def now(self) -> datetime:
        return at(self.seconds)

    def provider(self, name: str = "bank", **spec: Any) -> None:
        meta = {"namespace": "octo", "name": name, "uid": f"uid-{name}", "generation": 1}
        meta["creationTimestamp"] = rfc3339(at(-50))
        spec = spec or {"container": {"image": "mine"}}
        self.world.saw(Kind.PROVIDER, self.api.put(OCTOPROVIDERS, {"metadata": meta, "spec": spec}))

    def job(self, name: str, *, finalizers: tuple[str, ...] = (ARCHIVE_FINALIZER,), **spec: Any) -> None:
        meta = {
            "namespace": "octo",
            "name": name,
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": rfc3339(at(0)),
            "finalizers": list(finalizers),
        }
        raw = {"metadata": meta, "spec": {"providerRef": {"name": "bank"}, **spec}}
        self.world.saw(Kind.JOB, self.api.put(OCTOJOBS, raw))

    async def visit(self, name: str) -> float | None:
        return await self.reconciler.visit((Kind.JOB, name))

    async def begin(self, name: str) -> None:
        """Visit a run, and again once a pod that does not run by then is worth a word."""
        await self.visit(name)
        self.seconds += BRIEF_SECONDS
        await self.visit(name)

    def status(self, name: str) -> Raw:
        return cast(Raw, self.api.objects[("octojobs", name)].get("status", {}))

    def child_is(self, name: str, **status: Any) -> None:
        """The Job controller writes a Job's status, and the watch tells."""
        raw = self.api.put(JOBS, merged(self.api.objects[("jobs", name)], {"status": status}))
        self.world.saw(Kind.CHILD, raw)

    def pod_is(self, child: str, state: Raw, *, index: int | None = None, phase: str = "Pending") -> None:
        meta: Raw = {"name": f"{child}-x", "uid": "p", "creationTimestamp": rfc3339(at(0))}
        meta["labels"] = {"batch.kubernetes.io/job-name": child}
        if index is not None:
            meta["name"] = f"{child}-{index}-x"
            meta["annotations"] = {"batch.kubernetes.io/job-completion-index": str(index)}
        status = {"phase": phase, "containerStatuses": [{"name": "worker", "state": state}]}
        self.api.put(PODS, {"metadata": meta, "status": status})

    def pod_ended(self, child: str, exit_code: int, message: str = "", *, index: int | None = None) -> None:
        state = {"exitCode": exit_code, "message": message, "finishedAt": rfc3339(at(9))}
        self.pod_is(child, {"terminated": state}, index=index, phase="Failed" if exit_code else "Succeeded")


async def to_its_end(rig: Rig, name: str, exit_code: int = 0) -> None:
    await rig.visit(name)
    rig.child_is(f"{name}-1", active=1, ready=1, startTime=rfc3339(at(2)))
    await rig.visit(name)
    outcome = {"reason": "Completed", "progress": {"filesDone": 3, "summary": "3/3"}}
    rig.pod_ended(f"{name}-1", exit_code, json.dumps(outcome) if exit_code == 0 else "")
    kind = "Failed" if exit_code else "Complete"
    rig.child_is(f"{name}-1", active=0, ready=0, conditions=[{"type": kind, "status": "True"}])
    await rig.visit(name)


async def over(rig: Rig, name: str) -> None:
    """The run's Job completes."""
    rig.pod_ended(f"{name}-1", 0)
    rig.child_is(f"{name}-1", conditions=[{"type": "Complete", "status": "True"}])
    await rig.visit(name)
