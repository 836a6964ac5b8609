"""Properties of ``decide`` over a model of a cluster, in which anything may happen in any order.

The model holds OctoJobs, Jobs and pods as an API server and its controllers would; the controller sees
them through the real ``World``, with events late, doubled or dropped, and forgets all when it restarts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from octo_controller.reconcile.act import with_child
from octo_controller.reconcile.decide import decide
from octo_controller.reconcile.manifest import PodSettings, child_job
from octo_controller.reconcile.model import (
    REPLACED_BY,
    AddFinalizer,
    CancelPeer,
    CreateJob,
    DeleteJob,
    DeleteOctoJob,
    DeletePods,
    Look,
    Observed,
    Plan,
    Pods,
    ReleaseFinalizer,
    SuspendJob,
    Writing,
)
from octo_controller.reconcile.patches import status_patch
from octo_controller.reconcile.world import Facts, Kind, World
from octo_core.crd.resources import parse_job
from octo_core.domain.model import rfc3339
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_ATTEMPT, child_name
from octo_core.domain.status import OctoJobStatus
from tests.unit.octo_controller.builders import POLICY, at
from tests.unit.octo_controller.reconcile.merging import merged
from tests.unit.octo_controller.reconcile.simulation import Cluster, Mirror, Pod, Queue, copied, ranges

Raw = dict[str, Any]
TERMINAL = ("Succeeded", "Failed", "Cancelled")
RETRY = {"maxAttempts": 3, "backoffSeconds": 10, "backoffFactor": 2, "maxBackoffSeconds": 60}


class Machine(RuleBasedStateMachine):
    """Rules change the cluster, deliver or lose events, visit, crash and restart."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.final: dict[str, str] = {}
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is known but what is listed."""
        self.mirror = Mirror()
        self.world = World(Queue(), self.mirror)
        self.inbox: list[tuple[Kind, Raw, bool]] = []
        self.resync()

    def resync(self) -> None:
        meta = {"name": "bank", "namespace": "octo", "uid": "uid-bank", "resourceVersion": "1"}
        meta["creationTimestamp"] = rfc3339(at(-100))
        self.world.saw(Kind.PROVIDER, {"metadata": meta, "spec": {"container": {"image": "mine"}}})
        for kind, held, cache in (
            (Kind.CHILD, self.cluster.children, self.world.children),
            (Kind.JOB, self.cluster.jobs, self.world.jobs),
        ):
            for raw in held.values():
                self.world.saw(kind, copied(raw))
            for entry in cache.missing(held.values(), self.cluster.version):
                self.world.gone(kind, entry.name, entry.uid)

    # What users do.

    @initialize()
    def first(self) -> None:
        self.cluster.seconds = 1

    @rule(
        target=names,
        number=st.integers(0, 3),
        finalizer=st.booleans(),
        policy=st.sampled_from(["Enqueue", "Enqueue", "Enqueue", "Replace", "Forbid"]),
        suspend=st.booleans(),
        priority=st.integers(-1, 1),
        workers=st.sampled_from([1, 1, 3]),
    )
    def create(self, number: int, finalizer: bool, policy: str, suspend: bool, priority: int, workers: int) -> str:
        name = f"run{number}"
        assume(name not in self.cluster.jobs)
        meta = {
            "namespace": "octo",
            "name": name,
            "uid": f"{name}-{self.cluster.version}",
            "generation": 1,
            "creationTimestamp": rfc3339(self.cluster.now),
            "finalizers": [ARCHIVE_FINALIZER] if finalizer else [],
        }
        spec = {
            "providerRef": {"name": "bank"},
            "retryPolicy": RETRY,
            "concurrency": {"policy": policy},
            "suspend": suspend,
            "priority": priority,
            "transfer": {"parallelism": workers},
        }
        self.cluster.jobs[name] = self.cluster.touch({"metadata": meta, "spec": spec})
        self.tell(Kind.JOB, self.cluster.jobs[name])
        return name

    @rule(name=names, mode=st.sampled_from(["Graceful", "Force"]))
    def cancel(self, name: str, mode: str) -> None:
        raw = self.cluster.jobs.get(name)
        assume(raw is not None and "cancel" not in raw["spec"])
        self.change(name, {"spec": {"cancel": {"requestedAt": rfc3339(self.cluster.now), "mode": mode}}})

    @rule(name=names, value=st.booleans())
    def suspend(self, name: str, value: bool) -> None:
        assume(name in self.cluster.jobs and self.cluster.jobs[name]["spec"]["suspend"] is not value)
        self.change(name, {"spec": {"suspend": value}})

    @rule(name=names)
    def delete(self, name: str) -> None:
        raw = self.cluster.jobs.get(name)
        assume(raw is not None and "deletionTimestamp" not in raw["metadata"])
        if raw is None or not raw["metadata"]["finalizers"]:
            self.collect(name)
        else:
            self.change(name, {"metadata": {"deletionTimestamp": rfc3339(self.cluster.now)}})

    # What the cluster does.

    @rule(data=st.data())
    def pod_changes(self, data: st.DataObject) -> None:
        alive = [pod for pods in self.cluster.pods.values() for pod in pods if pod.phase in ("Pending", "Running")]
        assume(alive)
        pod = data.draw(st.sampled_from(sorted(alive, key=lambda pod: pod.name)))
        if pod.phase == "Pending":
            pod.phase = "Running"
        else:
            pod.exit_code = data.draw(st.sampled_from([0, 0, 20, 30, 50, 137]))
            pod.phase = "Succeeded" if pod.exit_code == 0 else "Failed"

    @rule()
    def jobs_controller(self) -> None:
        self.level_jobs()

    @rule(data=st.data())
    def somebody_deletes_a_job(self, data: st.DataObject) -> None:
        assume(self.cluster.children)
        self.remove_child(data.draw(st.sampled_from(sorted(self.cluster.children))))

    @rule(seconds=st.sampled_from([1, 5, 30, 120, 1000]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.seconds += seconds

    # What happens to the controller.

    @rule(drop=st.booleans(), double=st.booleans(), order=st.randoms(use_true_random=False))
    def events_arrive(self, drop: bool, double: bool, order: Any) -> None:
        events = [event for event in self.inbox if not (drop and order.random() < 0.5)]
        order.shuffle(events)
        for kind, raw, gone in events * (2 if double else 1):
            self.deliver(kind, raw, gone)
        self.inbox = []

    @rule()
    def mirror_commits(self) -> None:
        self.mirror.held.update(self.mirror.offered)

    @rule()
    def full_resync(self) -> None:
        self.resync()

    @rule()
    def crash(self) -> None:
        self.restart()

    @rule(name=names, dies_after=st.integers(0, 4))
    def visit(self, name: str, dies_after: int) -> None:
        """One visit; with ``dies_after`` below 4 the process dies after so many writes."""
        self.reconcile(name, writes=dies_after if dies_after < 4 else 99)

    # The shell around decide, on the model.

    def reconcile(self, name: str, *, writes: int = 99) -> Plan | None:
        facts = Facts()
        for _ in range(9):
            seen = self.world.observe(name, facts, now=self.cluster.now)
            if seen is None:
                return None
            plan = decide(seen, now=self.cluster.now, policy=POLICY)
            if isinstance(plan, Look):
                facts = self.look(plan, facts)
                continue
            self.world.note(seen, plan)
            self.apply(seen, plan, writes)
            return plan
        raise AssertionError("decide never stops asking")

    def look(self, look: Look, facts: Facts) -> Facts:
        if look.job is not None:
            raw = self.cluster.children.get(look.job)
            if raw is None or raw["metadata"]["uid"] != look.uid:
                return replace(facts, absent=True)
            self.world.children.put(copied(raw), revive=True)
            return facts
        assert look.pods is not None
        pods = Pods(tuple(pod.view() for pod in self.cluster.pods.get(look.pods, ())))
        return replace(facts, child=self.world.children.get(look.pods), pods=pods)

    def apply(self, seen: Observed, plan: Plan, writes: int) -> None:
        name, status = seen.job.meta.name, plan.status
        held = self.cluster.jobs.get(name)
        if held is None:
            return
        version = seen.job.meta.resource_version
        for action in plan.actions:
            if writes == 0:
                self.restart()
                return
            writes -= 1
            match action:
                case AddFinalizer():
                    if held["metadata"]["resourceVersion"] != version:
                        return
                    held["metadata"]["finalizers"] = [ARCHIVE_FINALIZER]
                    version = self.own(Kind.JOB, held)
                case CreateJob(attempt):
                    status = with_child(status, attempt, *self.create_child(seen, attempt))
                case DeleteJob(child, uid):
                    raw = self.cluster.children.get(child)
                    if raw is not None and raw["metadata"]["uid"] == uid and "deletionTimestamp" not in raw["metadata"]:
                        raw["metadata"]["deletionTimestamp"] = rfc3339(self.cluster.now)
                        self.tell(Kind.CHILD, self.cluster.touch(raw))
                        for pod in self.cluster.pods.get(child, ()):
                            pod.deletion = pod.deletion or self.cluster.now
                case DeletePods(victims, force):
                    gone = {pod for pod, _ in victims}
                    for pods in self.cluster.pods.values():
                        for pod in pods:
                            if pod.name in gone:
                                pod.deletion = pod.deletion or self.cluster.now
                        if force:
                            pods[:] = [pod for pod in pods if pod.name not in gone]
                case SuspendJob(child, value):
                    raw = self.cluster.children.get(child)
                    if raw is None:
                        return
                    raw["spec"]["suspend"] = value
                    self.own(Kind.CHILD, raw)
                case CancelPeer(peer, peer_version):
                    raw = self.cluster.jobs.get(peer)
                    if raw is None or raw["metadata"]["resourceVersion"] != peer_version:
                        return
                    cancel = {"requestedAt": rfc3339(self.cluster.now), "requestedBy": REPLACED_BY}
                    raw["spec"]["cancel"] = cancel
                    self.own(Kind.JOB, raw)
                case DeleteOctoJob():
                    self.change(name, {"metadata": {"deletionTimestamp": rfc3339(self.cluster.now)}})
                    return
                case ReleaseFinalizer():
                    if held["metadata"]["resourceVersion"] == version:
                        self.collect(name)
                    return
        patch = status_patch(seen.job.status, status) if plan.writing is not Writing.LATER else {}
        if writes == 0:
            self.restart()
        elif patch and held["metadata"]["resourceVersion"] == version:
            held["status"] = merged(held.get("status") or {}, patch)
            self.own(Kind.JOB, held)

    def create_child(self, seen: Observed, attempt: int) -> tuple[str, str]:
        name, uid = child_name(seen.job.meta.name, attempt), seen.job.meta.uid
        known = self.cluster.children.get(name)
        if known is None:
            assert (uid, name) not in self.cluster.created, "an attempt was created twice"
            self.cluster.created.append((uid, name))
            meta = {
                "name": name,
                "uid": f"{name}-{self.cluster.version}",
                "labels": {LABEL_ATTEMPT: str(attempt)},
                "creationTimestamp": rfc3339(self.cluster.now),
                "ownerReferences": [{"controller": True, "name": seen.job.meta.name, "uid": uid}],
            }
            assert seen.provider is not None
            made = child_job(seen.job, seen.provider, attempt, PodSettings(image="w"))["spec"]
            known = {"metadata": meta, "spec": {"completions": made["completions"]}, "status": {}}
            self.cluster.children[name] = known
            self.cluster.pods.setdefault(name, [])
            self.own(Kind.CHILD, known)
        assert known["metadata"]["ownerReferences"][0]["uid"] == uid
        return name, known["metadata"]["uid"]

    # The model's own mechanics.

    def own(self, kind: Kind, raw: Raw) -> str:
        self.cluster.touch(raw)
        self.tell(kind, raw)
        self.world.saw(kind, copied(raw), own=True)
        return str(raw["metadata"]["resourceVersion"])

    def change(self, name: str, patch: Raw) -> None:
        raw = merged(self.cluster.jobs[name], patch)
        raw["metadata"]["generation"] += "spec" in patch
        self.cluster.jobs[name] = self.cluster.touch(raw)
        self.tell(Kind.JOB, raw)

    def tell(self, kind: Kind, raw: Raw, *, gone: bool = False) -> None:
        self.inbox.append((kind, copied(raw), gone))

    def deliver(self, kind: Kind, raw: Raw, gone: bool) -> None:
        if gone:
            self.world.gone(kind, raw["metadata"]["name"], raw["metadata"]["uid"])
        else:
            self.world.saw(kind, raw)

    def collect(self, name: str) -> None:
        """The OctoJob goes, and with it all it owns."""
        raw = self.cluster.touch(self.cluster.jobs.pop(name))
        self.tell(Kind.JOB, raw, gone=True)
        for child, held in list(self.cluster.children.items()):
            if held["metadata"]["ownerReferences"][0]["uid"] == raw["metadata"]["uid"]:
                self.remove_child(child)
                self.cluster.pods.pop(child, None)

    def remove_child(self, name: str) -> None:
        raw = self.cluster.touch(self.cluster.children.pop(name))
        self.tell(Kind.CHILD, raw, gone=True)

    def level_jobs(self) -> None:
        """The Job controller, kubelet and garbage collector, one step each."""
        for name, raw in list(self.cluster.children.items()):
            pods = self.cluster.pods.setdefault(name, [])
            done = [c["type"] for c in raw["status"].get("conditions", ())]
            if raw["spec"].get("suspend") or raw["metadata"].get("deletionTimestamp"):
                pods[:] = [pod for pod in pods if pod.phase in ("Succeeded", "Failed") and not pod.deletion]
            if raw["metadata"].get("deletionTimestamp"):
                if not pods:
                    self.remove_child(name)
                continue
            if raw["spec"].get("suspend") or done:
                continue
            workers = raw["spec"]["completions"]
            ended = {phase: {pod.index for pod in pods if pod.phase == phase} for phase in ("Succeeded", "Failed")}
            for index in range(workers):
                if not any(pod.index == index for pod in pods):
                    pods.append(Pod(f"{name}-{index}", index=index))
            status: Raw = {"active": sum(pod.phase in ("Pending", "Running") for pod in pods)}
            status["ready"] = sum(pod.phase == "Running" for pod in pods)
            status["startTime"] = raw["status"].get("startTime") or rfc3339(self.cluster.now)
            if workers > 1:
                status["completedIndexes"] = ranges(ended["Succeeded"])
                status["failedIndexes"] = ranges(ended["Failed"])
            if not status["active"]:
                kind = "Failed" if ended["Failed"] else "Complete"
                status["conditions"] = [{"type": kind, "status": "True"}]
            if status != raw["status"]:
                raw["status"] = status
                self.tell(Kind.CHILD, self.cluster.touch(raw))

    # What must hold.

    def live_attempts(self, raw: Raw) -> list[str]:
        uid = raw["metadata"]["uid"]
        return [
            name
            for name, child in self.cluster.children.items()
            if child["metadata"]["ownerReferences"][0]["uid"] == uid and not child["status"].get("conditions")
        ]

    @invariant()
    def never_two_live_attempts(self) -> None:
        for raw in self.cluster.jobs.values():
            assert len(self.live_attempts(raw)) <= 1
            pods = [
                pod.name
                for name, found in self.cluster.pods.items()
                for pod in found
                if name.rsplit("-", 1)[0] == raw["metadata"]["name"] and pod.phase in ("Pending", "Running")
            ]
            assert len(pods) == len(set(pods)), "two pods of one worker"
            assert len(pods) <= raw["spec"]["transfer"]["parallelism"]

    @invariant()
    def never_two_active_runs_of_one_key(self) -> None:
        busy = [name for name, raw in self.cluster.jobs.items() if self.live_attempts(raw)]
        assert len(busy) <= 1, busy

    @invariant()
    def terminal_absorbs(self) -> None:
        for raw in self.cluster.jobs.values():
            status = copied(raw.get("status") or {})
            if status.get("state") not in TERMINAL:
                assert raw["metadata"]["uid"] not in self.final
                continue
            status["conditions"] = [c for c in status["conditions"] if c["type"] != "Archived"]
            known = self.final.setdefault(raw["metadata"]["uid"], repr(status))
            assert known == repr(status)

    @invariant()
    def a_finished_run_has_nothing_left_that_runs(self) -> None:
        for raw in self.cluster.jobs.values():
            if (raw.get("status") or {}).get("state") in TERMINAL:
                assert not self.live_attempts(raw)

    @invariant()
    def a_run_succeeds_only_if_all_its_workers_did(self) -> None:
        for name, raw in self.cluster.jobs.items():
            status = raw.get("status") or {}
            child = self.cluster.children.get(child_name(name, status.get("attempt", 0)))
            if status.get("state") == "Succeeded" and child and child["metadata"]["uid"] == status["jobRef"]["uid"]:
                assert [c["type"] for c in child["status"]["conditions"]] == ["Complete"]

    @invariant()
    def attempts_only_grow(self) -> None:
        for raw in self.cluster.jobs.values():
            status = OctoJobStatus.model_validate(raw.get("status") or {})
            numbers = [attempt.number for attempt in status.attempts]
            assert numbers == list(range(1, len(numbers) + 1))

    def teardown(self) -> None:
        """Left alone, with Jobs that end, everything comes to rest: over, archived, nothing to do."""
        for name, raw in self.cluster.jobs.items():
            if raw["spec"]["suspend"]:
                self.change(name, {"spec": {"suspend": False}})
        for _ in range(80):
            self.resync()
            for name in sorted(self.cluster.jobs):
                self.reconcile(name)
            self.level_jobs()
            for pods in self.cluster.pods.values():
                for pod in pods:
                    if pod.phase == "Running":
                        pod.phase, pod.exit_code = "Succeeded", 0
                    elif pod.phase == "Pending":
                        pod.phase = "Running"
            self.mirror.held.update(self.mirror.offered)
            self.cluster.seconds += 20
            self.never_two_active_runs_of_one_key()
            self.never_two_live_attempts()
        for name in sorted(self.cluster.jobs):
            self.resync()
            raw = self.cluster.jobs[name]
            assert raw["status"]["state"] in TERMINAL, raw
            before = parse_job(raw).status
            plan = self.reconcile(name)
            assert plan is not None
            assert plan.actions == ()
            assert plan.status == before


TestProperties = Machine.TestCase
TestProperties.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
