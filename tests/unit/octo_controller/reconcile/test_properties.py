"""The model check: the real reconciler on a model of a cluster, in which anything may happen in any order.

Rules change the cluster, deliver events late, doubled, out of order or not at all, let the API server refuse a write,
or do it and lose the answer, and kill the controller before or after any write. Invariants hold after every step, and
left alone everything comes to rest. ``make model-check`` looks longer, from another seed each time.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from octo_controller.engine.cache import name_of, uid_of
from octo_controller.engine.queue import RetryLaterError
from octo_controller.metrics import Metrics
from octo_controller.reconcile.act import Actor
from octo_controller.reconcile.loop import Reconciler
from octo_controller.reconcile.manifest import PodSettings
from octo_controller.reconcile.world import Kind, World
from octo_core.db.projection import job_values
from octo_core.domain.model import rfc3339
from octo_core.domain.names import ARCHIVE_FINALIZER, child_name
from octo_core.domain.states import derive_state
from octo_core.domain.status import ConditionStatus, ConditionType, OctoJobStatus
from octo_core.kube.client import KubeClient
from tests.unit.octo_controller.builders import POLICY, at
from tests.unit.octo_controller.reconcile.cluster_api import ClusterApi, Fate, KilledError
from tests.unit.octo_controller.reconcile.merging import merged
from tests.unit.octo_controller.reconcile.simulation import Cluster, Mirror, Queue, copied

Raw = dict[str, Any]
TERMINAL = ("Succeeded", "Failed", "Cancelled")
RETRY = {"maxAttempts": 3, "backoffSeconds": 10, "backoffFactor": 2, "maxBackoffSeconds": 60}
PROVIDERS = ("bank", "shop")
METRICS = Metrics()
FATES = st.lists(st.sampled_from([*[Fate.DONE] * 6, *Fate]), max_size=4)


class Machine(RuleBasedStateMachine):
    """One controller, its cluster, and all that may go wrong between them.

    A rule that does not apply does nothing. ``assume`` would throw the whole example away, and leave the short ones.
    """

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.cluster = Cluster(seconds=1)
        self.api = ClusterApi(self.cluster, self.tell)
        self.final: dict[str, str] = {}
        self.uids: dict[tuple[str, int], str] = {}
        self.capacity: int | None = None

    @initialize(capacity=st.sampled_from([None, 1]))
    def first(self, capacity: int | None) -> None:
        self.capacity = capacity
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is known but what is listed."""
        self.cluster.seen_by_this_process.clear()
        self.mirror = Mirror()
        self.world = World(Queue(), self.mirror, capacity=self.capacity)
        self.world.since = self.cluster.now
        client = cast(KubeClient, self.api)
        actor = Actor(client, self.world, namespace="octo", pods=PodSettings(image="w"), clock=self.seconds)
        self.reconciler = Reconciler(self.world, actor, policy=POLICY, clock=lambda: self.cluster.now, metrics=METRICS)
        self.inbox: list[tuple[Kind, Raw, bool]] = []
        self.resync()

    def seconds(self) -> float:
        return self.cluster.seconds

    def resync(self) -> None:
        for name in PROVIDERS:
            meta = {"name": name, "namespace": "octo", "uid": f"uid-{name}", "resourceVersion": "1"}
            meta["creationTimestamp"] = rfc3339(at(-100))
            self.world.saw(Kind.PROVIDER, {"metadata": meta, "spec": {"container": {"image": "mine"}}})
        for kind, held, cache in (
            (Kind.CHILD, self.cluster.children, self.world.children),
            (Kind.JOB, self.cluster.jobs, self.world.jobs),
        ):
            for raw in held.values():
                self.world.saw(kind, copied(raw))
            for entry in cache.missing({(name_of(raw), uid_of(raw)) for raw in held.values()}, self.cluster.version):
                self.world.gone(kind, entry.name, entry.uid)

    # What users do.

    @rule(
        target=names,
        number=st.integers(0, 3),
        provider=st.sampled_from(PROVIDERS),
        finalizer=st.booleans(),
        policy=st.sampled_from(["Enqueue", "Enqueue", "Enqueue", "Replace", "Forbid"]),
        suspend=st.booleans(),
        priority=st.integers(-1, 1),
        workers=st.sampled_from([1, 1, 3]),
        queue=st.sampled_from([None, None, "night"]),
        start_after=st.sampled_from([None, None, 40]),
    )
    def create(self, number: int, provider: str, finalizer: bool, workers: int, **spec: Any) -> Any:
        name = f"run{number}"
        if name in self.cluster.jobs:
            return multiple()
        meta = {
            "namespace": "octo",
            "name": name,
            "uid": f"{name}-{self.cluster.version}",
            "generation": 1,
            "creationTimestamp": rfc3339(self.cluster.now),
            "finalizers": [ARCHIVE_FINALIZER] if finalizer else [],
        }
        later = spec["start_after"]
        document = {
            "providerRef": {"name": provider},
            "retryPolicy": RETRY,
            "activeDeadlineSeconds": 3000,
            "concurrency": {"policy": spec["policy"]},
            "suspend": spec["suspend"],
            "priority": spec["priority"],
            "transfer": {"parallelism": workers},
            **({"queueName": spec["queue"]} if spec["queue"] else {}),
            **({"startAfter": rfc3339(at(self.cluster.seconds + later))} if later else {}),
        }
        self.cluster.jobs[name] = self.cluster.touch({"metadata": meta, "spec": document})
        self.tell(Kind.JOB, self.cluster.jobs[name])
        return name

    @rule(name=names, mode=st.sampled_from(["Graceful", "Force"]))
    def cancel(self, name: str, mode: str) -> None:
        raw = self.cluster.jobs.get(name)
        if raw is None or "cancel" in raw["spec"]:
            return
        self.change(name, {"spec": {"cancel": {"requestedAt": rfc3339(self.cluster.now), "mode": mode}}})

    @rule(name=names, value=st.booleans())
    def suspend(self, name: str, value: bool) -> None:
        if name in self.cluster.jobs and self.cluster.jobs[name]["spec"]["suspend"] is not value:
            self.change(name, {"spec": {"suspend": value}})

    @rule(name=names, value=st.integers(-1, 1))
    def prioritize(self, name: str, value: int) -> None:
        if name in self.cluster.jobs:
            self.change(name, {"spec": {"priority": value}})

    @rule(name=names)
    def delete(self, name: str) -> None:
        raw = self.cluster.jobs.get(name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            return
        if not raw["metadata"]["finalizers"]:
            self.cluster.collect(name, self.tell)
        else:
            self.change(name, {"metadata": {"deletionTimestamp": rfc3339(self.cluster.now)}})

    # What the cluster does.

    @rule(data=st.data())
    def pod_changes(self, data: st.DataObject) -> None:
        alive = [pod for pods in self.cluster.pods.values() for pod in pods if pod.alive]
        if not alive:
            return
        pod = data.draw(st.sampled_from(sorted(alive, key=lambda pod: pod.name)))
        if pod.phase == "Pending":
            pod.phase = "Running"
        else:
            pod.exit_code = data.draw(st.sampled_from([0, 0, 20, 30, 50, 137]))
            pod.phase = "Succeeded" if pod.exit_code == 0 else "Failed"

    @rule()
    def jobs_controller(self) -> None:
        self.cluster.level_jobs(self.tell)

    @rule(data=st.data(), admit=st.sampled_from([True, True, False]))
    def kueue(self, data: st.DataObject, admit: bool) -> None:
        queued = self.cluster.queued()
        if not queued:
            return
        self.cluster.kueue(data.draw(st.sampled_from(queued)), admit=admit, tell=self.tell)

    @rule(data=st.data())
    def somebody_deletes_a_job(self, data: st.DataObject) -> None:
        if not self.cluster.children:
            return
        name = data.draw(st.sampled_from(sorted(self.cluster.children)))
        owner = self.cluster.children[name]["metadata"]["ownerReferences"][0]
        status = self.cluster.jobs.get(owner["name"], {}).get("status") or {}
        if self.cluster.children[name]["metadata"]["uid"] not in [a.get("jobUID") for a in status.get("attempts", ())]:
            self.cluster.unwritten.add((owner["uid"], name))
        self.cluster.remove_child(name, self.tell)

    @rule(seconds=st.sampled_from([1, 5, 30, 120, 1000]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.seconds += seconds

    # What happens to the controller.

    @rule(drop=st.booleans(), double=st.booleans(), order=st.randoms(use_true_random=False))
    def events_arrive(self, drop: bool, double: bool, order: Any) -> None:
        events = [event for event in self.inbox if not (drop and order.random() < 0.5)]
        order.shuffle(events)
        for kind, raw, gone in events * (2 if double else 1):
            if gone:
                self.world.gone(kind, raw["metadata"]["name"], raw["metadata"]["uid"])
            else:
                self.world.saw(kind, raw)
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

    @rule(name=names, fates=FATES)
    def visit(self, name: str, fates: list[Fate]) -> None:
        """One visit, in which each write meets its fate."""
        self.api.fates = list(fates)
        self.reconcile(name)
        self.api.fates = []

    def reconcile(self, name: str) -> None:
        try:
            self.loop.run_until_complete(self.reconciler.visit((Kind.JOB, name)))
        except RetryLaterError:
            pass
        except KilledError:
            self.restart()

    def change(self, name: str, patch: Raw) -> None:
        raw = merged(self.cluster.jobs[name], patch)
        raw["metadata"] = {**raw["metadata"], "generation": raw["metadata"]["generation"] + ("spec" in patch)}
        self.cluster.jobs[name] = self.cluster.touch(raw)
        self.tell(Kind.JOB, raw)

    def tell(self, kind: Kind, raw: Raw, *, gone: bool = False) -> None:
        self.inbox.append((kind, copied(raw), gone))

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
        for name, raw in self.cluster.jobs.items():
            assert len(self.live_attempts(raw)) <= 1
            owned = [pods for child, pods in self.cluster.pods.items() if child.rsplit("-", 1)[0] == name]
            alive = [pod.name for pods in owned for pod in pods if pod.alive]
            assert len(alive) == len(set(alive)), "two pods of one worker"
            assert len(alive) <= raw["spec"]["transfer"]["parallelism"]

    @invariant()
    def never_more_active_runs_than_a_key_and_the_namespace_may_have(self) -> None:
        busy = [raw["spec"]["providerRef"]["name"] for raw in self.cluster.jobs.values() if self.live_attempts(raw)]
        assert all(count <= 1 for count in Counter(busy).values()), busy
        assert self.capacity is None or len(busy) <= self.capacity, busy

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
        for name, raw in self.cluster.jobs.items():
            if (raw.get("status") or {}).get("state") in TERMINAL:
                assert not self.live_attempts(raw)
                owned = [pods for child, pods in self.cluster.pods.items() if child.rsplit("-", 1)[0] == name]
                assert not [pod.name for pods in owned for pod in pods if pod.alive]

    @invariant()
    def a_run_succeeds_only_if_all_its_workers_did(self) -> None:
        for name, raw in self.cluster.jobs.items():
            status = raw.get("status") or {}
            child = self.cluster.children.get(child_name(name, status.get("attempt", 0)))
            if status.get("state") == "Succeeded" and child and child["metadata"]["uid"] == status["jobRef"]["uid"]:
                assert [c["type"] for c in child["status"]["conditions"]] == ["Complete"]

    @invariant()
    def attempts_only_grow_and_keep_their_jobs(self) -> None:
        for raw in self.cluster.jobs.values():
            status = OctoJobStatus.model_validate(raw.get("status") or {})
            numbers = [attempt.number for attempt in status.attempts]
            assert numbers == list(range(1, len(numbers) + 1))
            over = [attempt.completion_time is not None for attempt in status.attempts]
            assert all(over[:-1]), "the next attempt began before the last was over"
            assert all(over) or status.state is None or not status.state.terminal
            for attempt in status.attempts:
                if attempt.job_uid is not None:
                    key = (raw["metadata"]["uid"], attempt.number)
                    assert self.uids.setdefault(key, attempt.job_uid) == attempt.job_uid

    @invariant()
    def state_reason_and_conditions_say_one_thing(self) -> None:
        """In the OctoJob, and in the row that is made of it."""
        for raw in self.cluster.jobs.values():
            status = OctoJobStatus.model_validate(raw.get("status") or {})
            if status.state is None:
                continue
            succeeded, finished = (status.condition(kind) for kind in (ConditionType.SUCCEEDED, ConditionType.FINISHED))
            assert succeeded is not None
            assert finished is not None
            ending = status.state.value == "Cancelling"
            assert derive_state(status.conditions, ending=ending) is status.state
            assert succeeded.reason == finished.reason
            assert (finished.status is ConditionStatus.TRUE) is status.state.terminal
            assert (succeeded.status is ConditionStatus.UNKNOWN) is not status.state.terminal
            row = job_values(raw)
            assert (row["state"], row["reason"]) == (status.state.value, succeeded.reason)
            if status.state.terminal:
                assert row["reason"] not in ("Starting", "Running", "Cancelling", "UserSuspended")

    def teardown(self) -> None:
        """Left alone, with Jobs that end, everything comes to rest: over, archived, nothing to do."""
        try:
            if hasattr(self, "world"):
                self.comes_to_rest()
        finally:
            self.loop.close()

    def comes_to_rest(self) -> None:
        for name, raw in self.cluster.jobs.items():
            if raw["spec"]["suspend"]:
                self.change(name, {"spec": {"suspend": False}})
        for _ in range(100):
            self.resync()
            for name in sorted(self.cluster.jobs):
                self.reconcile(name)
            self.cluster.level_jobs(self.tell)
            for name in self.cluster.queued():
                self.cluster.kueue(name, admit=True, tell=self.tell)
            for pods in self.cluster.pods.values():
                for pod in pods:
                    if pod.phase == "Running":
                        pod.phase, pod.exit_code = "Succeeded", 0
                    elif pod.phase == "Pending":
                        pod.phase = "Running"
            self.mirror.held.update(self.mirror.offered)
            self.cluster.seconds += 20
            self.never_more_active_runs_than_a_key_and_the_namespace_may_have()
            self.never_two_live_attempts()
            self.state_reason_and_conditions_say_one_thing()
        self.resync()
        version = self.cluster.version
        for name, raw in sorted(self.cluster.jobs.items()):
            assert raw["status"]["state"] in TERMINAL, raw
            assert {c["type"]: c["status"] for c in raw["status"]["conditions"]}["Archived"] == "True"
            uid, attempts = raw["metadata"]["uid"], raw["status"].get("attempts", ())
            made = {job for owner, job in self.cluster.created if owner == uid}
            recorded = {child_name(name, attempt["number"]) for attempt in attempts if attempt.get("jobUID")}
            assert recorded <= made
            assert made - recorded <= {job for owner, job in self.cluster.unwritten if owner == uid}
            self.reconcile(name)
        assert self.cluster.version == version, "there is nothing left to write"


LONG = int(os.environ.get("OCTO_MODEL_EXAMPLES", "0"))
TestProperties = Machine.TestCase
TestProperties.settings = settings(
    max_examples=LONG or 80,
    stateful_step_count=60 if LONG else 30,
    derandomize=not LONG,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
