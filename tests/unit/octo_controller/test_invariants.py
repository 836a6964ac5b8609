"""The ten things that always hold of a run. Each test fails once the guard that it names is taken out.

``reconcile/test_properties.py`` looks for orders of events in which 1 to 4, 6 and 8 do not hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from octo_controller import app
from octo_controller.app import Controller
from octo_controller.engine.lease import LeaseLostError
from octo_controller.leadership import Leadership, lease_of, rivals_of
from octo_controller.mirror.projector import Projector
from octo_controller.reconcile.manifest import PodSettings, child_job
from octo_controller.reconcile.model import DeleteJob, DeletePods, Observed, Pods
from octo_controller.reconcile.world import Kind
from octo_controller.settings import ControllerSettings
from octo_core.db.session import Database
from octo_core.domain.failure import EXIT_CODES, RETRYABLE_BY_DEFAULT, Category
from octo_core.domain.model import rfc3339
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_ATTEMPT
from octo_core.domain.status import ConditionStatus, ConditionType, State
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS, OCTOJOBS
from tests.unit.octo_controller.builders import (
    CANCEL,
    at,
    child,
    condition,
    job,
    observed,
    plan_of,
    pod,
    provider,
    running,
    started,
)
from tests.unit.octo_controller.engine import test_lease as leases
from tests.unit.octo_controller.fake_api import FakeApi
from tests.unit.octo_controller.mirror import test_projector as mirrors
from tests.unit.octo_controller.reconcile.merging import merged
from tests.unit.octo_controller.rig import Rig, over
from tests.unit.octo_controller.test_app import SETTINGS, OpenDoor

Raw = dict[str, Any]


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.provider()
    return made


# ---- 1. The Job of an attempt has one name, is owned, and is adopted rather than doubled. -----------


async def test_invariant_1_a_job_that_is_there_and_ours_is_adopted(rig: Rig) -> None:
    """Guard: what ``Actor._create`` does about AlreadyExists."""
    rig.job("run")
    owner = {"controller": True, "name": "run", "uid": "uid-run"}
    meta = {"name": "run-1", "uid": "made-before", "creationTimestamp": rfc3339(at(0)), "ownerReferences": [owner]}
    rig.api.put(JOBS, {"metadata": {**meta, "labels": {LABEL_ATTEMPT: "1"}}})
    await rig.begin("run")
    assert rig.status("run")["attempts"][0]["jobUID"] == "made-before"


async def test_invariant_1_a_job_of_someone_else_fails_the_run_with_a_clear_word(rig: Rig) -> None:
    """Guard: ``Actor._create`` compares the owner's uid."""
    rig.job("run")
    rig.api.put(JOBS, {"metadata": {"name": "run-1", "uid": "x", "creationTimestamp": rfc3339(at(0))}})
    await rig.visit("run")
    failure = rig.status("run")["failure"]
    assert (failure["category"], failure["reason"]) == ("Config", "NameTaken")
    assert "'run-1'" in failure["message"]


async def test_invariant_1_a_job_of_an_earlier_run_of_the_name_is_waited_for(rig: Rig) -> None:
    """Guard: ``_name_taken`` tells what is about to be collected from what is not."""
    rig.job("run")
    owner = {"controller": True, "kind": "OctoJob", "name": "run", "uid": "uid-earlier"}
    meta = {"name": "run-1", "uid": "x", "creationTimestamp": rfc3339(at(0)), "ownerReferences": [owner]}
    rig.world.saw(Kind.CHILD, rig.api.put(JOBS, {"metadata": meta}))
    assert await rig.visit("run") == 5
    assert (rig.status("run")["state"], rig.status("run").get("attempts", [])) == ("Starting", [])
    del rig.api.objects[("jobs", "run-1")]
    rig.queue.keys.clear()
    rig.world.gone(Kind.CHILD, "run-1", "x")
    assert rig.queue.keys == [(Kind.JOB, "run")], "and not a moment longer"
    await rig.begin("run")
    assert rig.status("run")["attempts"][0]["jobUID"] == "uid-run-1"


# ---- 2. An attempt whose Job is known is never made again. ------------------------------------------


async def test_invariant_2_a_job_that_was_written_down_and_vanished_is_lost_and_not_made_again(rig: Rig) -> None:
    """Guard: ``decide`` follows an attempt without a completion time, whether its Job is there or not."""
    rig.job("run", retryPolicy={"maxAttempts": 1})
    await rig.begin("run")
    assert rig.status("run")["attempts"][0]["jobUID"] == "uid-run-1"
    del rig.api.objects[("jobs", "run-1")]
    rig.world.gone(Kind.CHILD, "run-1", "uid-run-1")
    await rig.visit("run")
    assert (rig.status("run")["state"], rig.status("run")["failure"]["reason"]) == ("Failed", "JobLost")
    assert rig.api.writes.count("create jobs") == 1


async def test_invariant_2_a_job_that_went_before_it_was_written_down_is_lost_and_not_made_again(rig: Rig) -> None:
    """Guard: ``World`` keeps the newest Job that it saw of a run."""
    rig.job("run", retryPolicy={"maxAttempts": 1})
    await rig.visit("run")
    del rig.api.objects[("jobs", "run-1")]
    rig.world.gone(Kind.CHILD, "run-1", "uid-run-1")
    await rig.visit("run")
    assert rig.api.writes.count("create jobs") == 1
    attempt = rig.status("run")["attempts"][0]
    assert (attempt["reason"], attempt["jobUID"]) == ("JobLost", "uid-run-1")


async def test_invariant_2_after_a_restart_no_attempt_begins_beside_pods_of_a_job_that_nobody_wrote_down(
    rig: Rig,
) -> None:
    """Guard: ``_may_have_begun`` in ``decide``."""
    rig.job("run")
    rig.pod_is("run-1", {"running": {}}, phase="Running")
    rig.world.since = at(0)
    await rig.visit("run")
    assert (rig.api.writes[0], rig.api.created) == ("delete pods", [])
    await rig.visit("run")
    assert rig.api.created == ["run"]


# ---- 3. Finished only once nothing runs; a cancel ends in bounded time. -----------------------------


def test_invariant_3_a_cancelled_run_is_not_over_before_its_pods_are() -> None:
    """Guard: ``teardown`` asks ``clear_pods`` before it says cancelled."""
    gone: dict[str, Any] = {"job": job(status=running(), cancel=CANCEL), "provider": provider(), "absent": True}
    still = plan_of(Observed(**gone, pods=Pods((pod(phase="Running", deletion=at(20)),))), 30)
    assert still.status.state is State.CANCELLING
    assert condition(still.status, ConditionType.FINISHED).status is ConditionStatus.FALSE
    assert plan_of(Observed(**gone, pods=Pods())).status.state is State.CANCELLED


async def test_invariant_3_a_cancelled_run_is_not_over_before_a_job_that_nobody_wrote_down_is_found_and_gone(
    rig: Rig,
) -> None:
    """Guard: ``_call_off`` looks for the Job and its pods before it says cancelled."""
    rig.job("run")
    await rig.visit("run")
    # The answer to its creation was lost, and no watch has told of it.
    again = Rig()
    again.provider()
    again.api.objects, again.api.version = rig.api.objects, rig.api.version
    raw = merged(rig.api.objects[("octojobs", "run")], {"spec": {"cancel": CANCEL}})
    again.world.saw(Kind.JOB, again.api.put(OCTOJOBS, raw))
    again.pod_is("run-1", {"running": {}}, phase="Running")
    await again.visit("run")
    assert (again.status("run")["state"], again.api.writes[0]) == ("Cancelling", "delete jobs")
    del again.api.objects[("jobs", "run-1")]
    again.world.gone(Kind.CHILD, "run-1", "uid-run-1")
    await again.visit("run")
    assert again.status("run")["state"] == "Cancelling", "its pod is still there"
    await again.visit("run")
    assert again.status("run")["state"] == "Cancelled"


@pytest.mark.parametrize(("mode", "seconds"), [("Graceful", 20 + 60 + 30), ("Force", 20)])
def test_invariant_3_what_does_not_obey_is_deleted_by_force_in_bounded_time(mode: str, seconds: int) -> None:
    """Guard: ``await_gone`` and ``clear_pods`` force what is overdue."""
    spec: dict[str, Any] = {"cancel": {**CANCEL, "mode": mode}}
    live = Pods((pod(phase="Running", deletion=at(20)),))
    for held in ((child(deleted_at=20, ready=1),), ()):
        seen = observed(job(status=running(), **spec), children=held, absent=not held, pods=live)
        forced = [action for action in plan_of(seen, seconds).actions if isinstance(action, DeletePods)]
        assert forced == [DeletePods((("run-1-x", "pod-1"),), force=True)]


# ---- 4. Every state that is not the end has a deadline, or somebody whose turn it is. ---------------


@pytest.mark.parametrize(
    ("seen", "seconds"),
    [
        pytest.param(lambda: observed(provider=None), 900, id="its provider does not come"),
        pytest.param(
            lambda: observed(job(status=started()), children=(child(active=1),), pods=Pods((pod(),))),
            900,
            id="its pod does not start",
        ),
        pytest.param(
            lambda: observed(job(status=running()), children=(child(ready=1, started=at(1)),)), 86_401, id="it goes on"
        ),
    ],
)
def test_invariant_4_what_does_not_get_on_is_ended_at_its_deadline_and_visited_then(
    seen: Callable[[], Observed], seconds: int
) -> None:
    """Guard: the deadlines in ``_await_provider``, ``_pending`` and ``follow``."""
    before = plan_of(seen(), seconds - 1)
    assert before.actions == ()
    assert before.status.state is not None
    assert not before.status.state.terminal
    assert before.requeue_after == 1, "nothing else would bring it back"
    due = plan_of(seen(), seconds)
    assert due.status.state is State.FAILED or due.actions == (DeleteJob("run-1", "job-1"),)


def test_invariant_4_a_lost_heartbeat_shows_as_stalled() -> None:
    """Guard: ``_running`` compares the last report with the clock."""
    seen = observed(job(status=running()), children=(child(ready=1, started=at(1)),))
    assert plan_of(seen, 600).requeue_after == 1
    stalled = condition(plan_of(seen, 601).status, ConditionType.STALLED)
    assert (stalled.status, stalled.reason) == (ConditionStatus.TRUE, "NoHeartbeat")


def test_invariant_4_a_retry_comes_back_by_itself() -> None:
    """Guard: ``back_off`` asks for the visit."""
    seen = observed(job(status=running()), children=(child(failed=True),), pods=Pods((pod(exit_code=20),)))
    plan = plan_of(seen, 60)
    assert plan.status.state is State.RETRYING
    assert plan.requeue_after is not None
    assert plan.status.next_attempt_time == at(60 + plan.requeue_after)


# ---- 5. A row only moves forward. -------------------------------------------------------------------


def test_invariant_5_an_older_version_is_never_written_after_a_newer_one() -> None:
    """Guard: ``Projector.offer`` compares versions. In SQL it is ``project``'s, tested on a real Postgres."""

    async def script(projector: Projector, writer: mirrors.Writer) -> None:
        for versions in ((10, 9), (9, 10), (11,)):
            for version in versions:
                projector.offer(mirrors.octojob("a", version))
            await asyncio.sleep(1)

    writer, _ = mirrors.play(script)
    assert writer.batches == [[("a", "10")], [("a", "11")]]


# ---- 6. A deleted OctoJob is archived first. --------------------------------------------------------


async def test_invariant_6_the_finalizer_is_first_and_last(rig: Rig) -> None:
    """Guard: AddFinalizer before CreateJob; ``_after_end`` waits for the mirror, and fails open."""
    rig.job("run", finalizers=())
    await rig.visit("run")
    assert rig.api.writes[:2] == ["patch octojobs", "create jobs"]
    rig.mirror.up = False
    stamp = {"metadata": {"deletionTimestamp": rfc3339(at(5))}}
    rig.world.saw(Kind.JOB, rig.api.put(OCTOJOBS, merged(rig.api.objects[("octojobs", "run")], stamp)))
    await rig.visit("run")
    del rig.api.objects[("jobs", "run-1")]
    rig.world.gone(Kind.CHILD, "run-1", "uid-run-1")
    await rig.visit("run")
    assert rig.status("run")["state"] == "Cancelled"
    await rig.visit("run")
    assert rig.api.objects[("octojobs", "run")]["metadata"]["finalizers"] == [ARCHIVE_FINALIZER]
    rig.seconds = 606
    await rig.visit("run")
    assert rig.api.objects[("octojobs", "run")]["metadata"]["finalizers"] == []
    assert rig.actor.counters.unarchived == 1


# ---- 7. One knob for retries. -----------------------------------------------------------------------


def test_invariant_7_kubernetes_does_not_retry() -> None:
    """Guard: the manifest's ``backoffLimit``, ``restartPolicy`` and ``podFailurePolicy``."""
    for workers, limit in ((1, "backoffLimit"), (3, "backoffLimitPerIndex")):
        spec = child_job(job(transfer={"parallelism": workers}), provider(), 2, PodSettings(image="w"))["spec"]
        assert (spec[limit], spec["completions"], spec["parallelism"]) == (0, workers, workers)
        assert spec["podReplacementPolicy"] == "Failed"
        assert spec["podFailurePolicy"]["rules"] == [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
        ]
        assert spec["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("category", [category for category in Category if category is not Category.CANCELLED])
def test_invariant_7_retry_policy_decides_by_category(category: Category) -> None:
    """Guard: ``conclude`` asks ``retryOn`` and ``maxAttempts``."""

    def state(**policy: Any) -> State | None:
        spec: dict[str, Any] = {"retryPolicy": policy}
        pods = Pods((pod(exit_code=EXIT_CODES[category]),))
        seen = observed(job(status=running(**spec), **spec), children=(child(failed=True),), pods=pods)
        return plan_of(seen, 60).status.state

    assert state() is (State.RETRYING if category in RETRYABLE_BY_DEFAULT else State.FAILED)
    assert state(retryOn=[category.value]) is State.RETRYING
    assert state(retryOn=[category.value], maxAttempts=1) is State.FAILED
    assert state(retryOn=[]) is State.FAILED


# ---- 8. Concurrency. --------------------------------------------------------------------------------


async def test_invariant_8_two_of_one_key_visited_at_the_same_time_do_not_both_go(rig: Rig) -> None:
    """Guard: ``admit`` counts those that wait ahead."""
    for name in ("a", "b", "c"):
        rig.job(name)
    await asyncio.gather(*(rig.visit(name) for name in ("c", "b", "a")))
    await rig.begin("a")
    assert rig.api.writes.count("create jobs") == 1
    assert rig.status("a")["state"] == "Starting"
    assert [rig.status(name).get("queuePosition") for name in ("b", "c")] == [2, 3]


async def test_invariant_8_one_that_comes_while_anothers_job_is_being_made_does_not_pass_it(rig: Rig) -> None:
    """Guard: ``World.note`` enters a decision before anything else can be decided."""
    rig.job("b")
    under_way = asyncio.create_task(rig.visit("b"))
    await asyncio.sleep(0)
    assert rig.api.writes == ["create jobs"]
    assert rig.world.children.get("b-1") is None
    rig.job("a", priority=5)
    await rig.visit("a")  # runs at once, before the answer to the other's create
    await under_way
    assert rig.api.writes.count("create jobs") == 1
    assert rig.status("a")["state"] == "Queued"


async def test_invariant_8_a_run_ends_and_the_next_by_priority_then_age_is_visited_and_goes(rig: Rig) -> None:
    """Guard: ``Standing.order``, and that ``World._leave`` wakes those who wait."""
    rig.job("first")
    await rig.visit("first")
    for name, priority in (("old", 0), ("young", 0), ("urgent", 5)):
        rig.job(name, priority=priority)
        await rig.visit(name)
    for expected in ("urgent", "old", "young"):
        rig.queue.keys.clear()
        await over(rig, rig.api.created[-1])
        woken = [name for kind, name in rig.queue.keys if kind is Kind.JOB and name not in rig.api.created]
        assert woken[0] == expected
        for name in reversed(woken):
            await rig.visit(name)
        assert rig.api.created[-1] == expected


@pytest.mark.parametrize(("policy", "state"), [("Forbid", "Failed"), ("Enqueue", "Queued"), ("Replace", "Queued")])
async def test_invariant_8_a_busy_key_lets_nobody_in(rig: Rig, policy: str, state: str) -> None:
    """Guard: ``admit`` counts who is active."""
    rig.job("a")
    await rig.visit("a")
    rig.job("b", concurrency={"policy": policy})
    await rig.visit("b")
    assert rig.status("b")["state"] == state
    assert rig.api.created == ["a"]
    assert ("cancel" in rig.api.objects[("octojobs", "a")]["spec"]) is (policy == "Replace")


# ---- 9. A restart with many loses and doubles nothing; a watch that says nothing is noticed. --------


async def test_invariant_9_a_restart_with_many_runs_makes_each_job_once_and_touches_none_that_is_over(
    rig: Rig,
) -> None:
    """Guard: adoption of Jobs that nobody wrote down, and that terminal is terminal."""
    for number in range(300):
        name = f"r{number:03}"
        rig.job(name, concurrency={"policy": "Allow"})
        if number % 3 < 2:
            await rig.visit(name)
        if number % 3 == 1:
            await over(rig, name)
    again = Rig()
    again.provider()
    again.api.objects |= rig.api.objects
    again.api.version = rig.api.version
    for (plural, _), raw in rig.api.objects.items():
        if plural in ("octojobs", "jobs"):
            again.world.saw(Kind.JOB if plural == "octojobs" else Kind.CHILD, raw)
    again.seconds = 10
    for number in reversed(range(300)):
        await again.visit(f"r{number:03}")
    assert sorted(again.api.created) == [f"r{number:03}" for number in range(2, 300, 3)]
    assert sum(plural == "jobs" for plural, _ in again.api.objects) == 300
    for number in range(1, 300, 3):
        before, after = (held.status(f"r{number:03}") for held in (rig, again))
        assert {**after, "conditions": before["conditions"]} == before


async def test_invariant_9_a_silent_watch_fails_the_liveness_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: the check ``watch`` of ``/livez``."""
    monkeypatch.setattr(app, "Door", OpenDoor)
    settings: ControllerSettings = SETTINGS
    client, database = cast(KubeClient, FakeApi()), Database(settings, application_name="test")
    leadership = Leadership(lease_of(settings, client), rivals_of(settings, client), end=lambda why: None)
    controller = Controller(settings, client, database, leadership, unfenced=client)
    controller.intake.begin()
    assert controller._live_checks()["watch"]() is None
    controller.intake._heard_at -= settings.watch_silence_seconds + 1
    assert controller._live_checks()["watch"]() is not None
    await database.close()


# ---- 10. Of two replicas one acts. ------------------------------------------------------------------


def test_invariant_10_a_standby_takes_over_within_20_seconds_and_the_first_acts_no_more() -> None:
    """Guard: ``Lease.held`` by its own clock, ``keep`` ends at a loss, ``acquire`` waits out the holder's time."""

    async def main() -> None:
        server = leases.Server()
        a, b = leases.Candidate(server, "a"), leases.Candidate(server, "b", seed=1)
        await a.lease.acquire()
        keeping = asyncio.create_task(a.lease.keep())
        waiting = asyncio.create_task(b.lease.acquire())
        await asyncio.sleep(30)
        assert leases.acts(a)
        assert not waiting.done()
        a.line.fault = lambda verb: "refused"  # its network is cut
        cut = leases.now()
        while not waiting.done():
            assert not (leases.acts(a) and leases.acts(b))
            await asyncio.sleep(0.1)
        assert leases.now() - cut <= 20
        assert not leases.acts(a)
        with pytest.raises(LeaseLostError):
            await keeping

    leases.run(main())
