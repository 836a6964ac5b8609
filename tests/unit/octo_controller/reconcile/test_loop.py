"""The shell around ``decide``, on a fake API: what it writes, how often, and what it does when refused."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from octo_controller.engine.queue import RetryLaterError
from octo_controller.reconcile import act
from octo_controller.reconcile.act import (
    LOOKS_AT_ONCE,
    LOOKS_PER_SECOND,
    PROVIDER_EVERY_SECONDS,
    SOON_AT_ONCE,
    SOON_SECONDS,
)
from octo_controller.reconcile.model import REPLACED_BY
from octo_controller.reconcile.patches import merge_patch
from octo_controller.reconcile.world import Kind
from octo_core.domain.errors import (
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    OctoError,
)
from octo_core.domain.model import rfc3339
from octo_core.domain.names import ARCHIVE_FINALIZER
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS, OCTOPROVIDERS
from tests.unit.octo_controller.builders import CANCEL, POLICY, at
from tests.unit.octo_controller.reconcile.merging import merged
from tests.unit.octo_controller.rig import Rig, over, to_its_end

Raw = dict[str, Any]


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.provider()
    return made


async def test_a_run_costs_six_writes_from_its_job_until_nothing_is_left_of_it(rig: Rig) -> None:
    rig.job("run", ttl={"afterSuccessSeconds": 60})
    await to_its_end(rig, "run")
    for _ in range(3):
        await rig.visit("run")
    assert rig.api.writes == ["create jobs", *["patch octojobs/status"] * 3]
    status = rig.status("run")
    assert status["state"] == "Succeeded"
    assert status["attempts"][0]["jobUID"] == "uid-run-1"
    assert status["progress"]["summary"] == "3/3"
    raw = rig.api.objects[("octojobs", "run")]
    rig.seconds += 60
    await rig.visit("run")
    assert rig.api.writes[4:] == ["delete octojobs"]
    stamp = {"metadata": {"deletionTimestamp": rfc3339(rig.now())}}
    rig.world.saw(Kind.JOB, rig.api.put(OCTOJOBS, merged(raw, stamp)))
    await rig.visit("run")
    assert rig.api.writes[5:] == ["patch octojobs"]
    assert rig.api.objects[("octojobs", "run")]["metadata"]["finalizers"] == []
    assert rig.actor.counters.writes == 6


async def test_a_run_that_is_over_before_anybody_looked_costs_one_status(rig: Rig) -> None:
    rig.job("run")
    await rig.visit("run")
    rig.pod_ended("run-1", 0)
    rig.child_is("run-1", startTime=rfc3339(at(2)), conditions=[{"type": "Complete", "status": "True"}])
    await rig.visit("run")
    assert rig.api.writes == ["create jobs", "patch octojobs/status"]
    status = rig.status("run")
    assert (status["state"], status["attempt"], status["jobRef"]["name"]) == ("Succeeded", 1, "run-1")
    assert status["startTime"] == rfc3339(at(2))
    assert all(c["reason"] != "Starting" for c in status["conditions"])


async def test_an_end_is_counted_once(rig: Rig) -> None:
    for name, code in (("good", 0), ("bad", 10)):
        rig.job(name, retryPolicy={"maxAttempts": 1})
        await to_its_end(rig, name, code)
        for _ in range(3):
            await rig.visit(name)
    assert rig.ended == ["Succeeded", "Failed"]


async def test_the_ticks_of_schedules_are_told_of_those_that_have_some(rig: Rig) -> None:
    schedule = {"cron": "0 * * * *", "timeZone": "UTC", "nextScheduleTime": rfc3339(at(100))}
    for name, known in (("first", schedule), ("second", {**schedule, "lastScheduleTime": rfc3339(at(40))})):
        rig.provider(name)
        raw = merged(rig.api.objects[("octoproviders", name)], {"status": {"schedule": known}})
        rig.world.saw(Kind.PROVIDER, rig.api.put(OCTOPROVIDERS, raw))
    assert rig.world.last_ticks() == {"second": at(40).timestamp()}
    assert rig.world.next_ticks() == {"first": at(100).timestamp(), "second": at(100).timestamp()}


async def test_that_an_attempt_begins_is_written_once_it_takes_longer_than_moments(rig: Rig) -> None:
    rig.job("run")
    assert await rig.visit("run") == 3
    rig.seconds = 2
    assert await rig.visit("run") == 1
    assert (rig.status("run"), rig.api.writes) == ({}, ["create jobs"])
    rig.seconds = 3
    await rig.visit("run")
    assert rig.status("run")["state"] == "Starting"
    assert rig.status("run")["attempts"][0]["jobUID"] == "uid-run-1"


async def test_with_much_to_do_what_only_tells_people_something_is_written_slowly(rig: Rig) -> None:
    for number in range(60):
        rig.job(f"r{number}", concurrency={"policy": "Allow"})
        await rig.visit(f"r{number}")
    rig.seconds = 4
    waits = [await rig.visit(f"r{number}") or 0 for number in range(60)]
    assert rig.api.writes.count("patch octojobs/status") == 20
    assert max(waits) <= 20.5
    rig.seconds = 9
    for number in range(60):
        await rig.visit(f"r{number}")
    assert rig.api.writes.count("patch octojobs/status") == 30, "two a second, the first that came first"
    assert rig.status("r29")["state"] == "Starting"
    # What counts is written at once all the same.
    rig.child_is("r59-1", conditions=[{"type": "Failed", "status": "True"}])
    await rig.visit("r59")
    assert rig.status("r59")["state"] == "Retrying"


async def test_what_comes_and_goes_within_a_second_is_written_once_and_what_ends_at_once(rig: Rig) -> None:
    rig.job("run", retryPolicy={"maxAttempts": 1})
    await rig.begin("run")
    rig.api.writes.clear()
    waits = []
    for ready in (1, 0, 1, 0, 1, 0):
        rig.child_is("run-1", active=1, ready=ready, startTime=rfc3339(at(2)))
        waits.append(await rig.visit("run"))
        rig.seconds += 0.125
    assert rig.api.writes == ["patch octojobs/status"]
    assert rig.status("run")["state"] == "Running"
    assert waits[-1] == 0.375
    rig.seconds += 0.25
    await rig.visit("run")
    assert rig.status("run")["state"] == "Starting", "then as it is by then"
    assert rig.api.writes == ["patch octojobs/status"] * 2
    rig.pod_ended("run-1", 20)
    rig.child_is("run-1", active=0, conditions=[{"type": "Failed", "status": "True"}])
    await rig.visit("run")
    assert rig.status("run")["state"] == "Failed"


async def test_a_run_that_three_workers_share_costs_as_much(rig: Rig) -> None:
    rig.job("run", transfer={"parallelism": 3})
    await rig.visit("run")
    assert rig.api.objects[("jobs", "run-1")]["spec"]["completionMode"] == "Indexed"
    for ready in (1, 3, 2, 1):
        rig.child_is("run-1", active=3, ready=ready, startTime=rfc3339(at(2)))
        await rig.visit("run")
    manifest = {"uri": "s3://landing/m.jsonl", "sha256": "0" * 64}
    for index in range(3):
        outcome: Raw = {"reason": "Completed", "progress": {"filesDone": 1 + index, "filesSelected": 4}}
        if index == 1:
            outcome["manifest"] = manifest
        rig.pod_ended("run-1", 0, json.dumps(outcome), index=index)
    over = {"completedIndexes": "0-2", "conditions": [{"type": "Complete", "status": "True"}]}
    rig.child_is("run-1", active=0, ready=0, **over)
    for _ in range(3):
        await rig.visit("run")
    assert rig.api.writes == ["create jobs", *["patch octojobs/status"] * 3]
    assert rig.api.lists == ["pods batch.kubernetes.io/job-name=run-1"]
    status = rig.status("run")
    assert (status["state"], status["progress"]["summary"]) == ("Succeeded", "6/12")
    assert status["manifestRef"] == manifest


@pytest.mark.parametrize(("written", "lists"), [({"observedGeneration": 7}, 1), ({"active": 1}, 2)])
async def test_pods_are_listed_again_if_the_job_changed_in_what_counts(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, written: Raw, lists: int
) -> None:
    rig.job("run")
    await rig.visit("run")
    rig.pod_ended("run-1", 0)
    rig.child_is("run-1", conditions=[{"type": "Complete", "status": "True"}])
    listed = rig.api.list_page

    async def list_page(*about: Any, **query: Any) -> Raw:
        page = await listed(*about, **query)
        if len(rig.api.lists) == 1:
            rig.child_is("run-1", **written)
        return page

    monkeypatch.setattr(rig.api, "list_page", list_page)
    await rig.visit("run")
    assert len(rig.api.lists) == lists
    assert rig.status("run")["state"] == "Succeeded"


async def test_the_failed_indexes_of_a_job_are_those_that_failed(rig: Rig) -> None:
    rig.job("run", transfer={"parallelism": 5}, retryPolicy={"maxAttempts": 1})
    await rig.visit("run")
    for index in (0, 2, 3):
        rig.pod_ended("run-1", 0, index=index)
    rig.pod_ended("run-1", 34, "why", index=4)
    over = {"completedIndexes": "0,2-3", "failedIndexes": "1,4"}
    rig.child_is("run-1", **over, conditions=[{"type": "Failed", "status": "True", "reason": "FailedIndexes"}])
    await rig.visit("run")
    failure = rig.status("run")["failure"]
    # The pod of the second is gone: the cluster lost it, and that is worth a retry.
    assert (failure["category"], failure["message"][:15]) == ("Infra", "worker 2 of 5: ")


async def test_the_events_of_one_waiting_pod_stand_for_all(rig: Rig) -> None:
    rig.job("run", transfer={"parallelism": 4})
    await rig.visit("run")
    for index in range(3):
        rig.pod_is("run-1", {"waiting": {"reason": "ContainerCreating"}}, index=index)
    rig.child_is("run-1", active=3)
    rig.seconds = 20
    await rig.visit("run")
    assert [what for what in rig.api.lists if what.startswith("events")] == ["events type=Warning"]


async def test_of_many_runs_that_wait_few_are_looked_at_in_any_time(rig: Rig) -> None:
    names = [f"run-{number}" for number in range(40)]
    for name in names:
        rig.job(name, concurrency={"policy": "Allow"})
        await rig.visit(name)
        rig.child_is(f"{name}-1", active=1)
    rig.seconds = 20
    waits = [await rig.visit(name) for name in names]
    assert len([what for what in rig.api.lists if what.startswith("pods")]) == LOOKS_AT_ONCE
    assert rig.api.lists.count("events type=Warning") == 1
    assert all(wait is not None and 0 < wait <= 20 / LOOKS_PER_SECOND for wait in waits[LOOKS_AT_ONCE:])
    rig.seconds += 1
    for name in names[LOOKS_AT_ONCE:]:
        await rig.visit(name)
    assert len([what for what in rig.api.lists if what.startswith("pods")]) == LOOKS_AT_ONCE + LOOKS_PER_SECOND


async def test_progress_written_by_the_api_is_not_touched_on_the_way(rig: Rig) -> None:
    rig.job("run")
    await rig.visit("run")
    raw = merged(rig.api.objects[("octojobs", "run")], {"status": {"progress": {"filesDone": 1, "summary": "1/3"}}})
    rig.world.saw(Kind.JOB, rig.api.put(OCTOJOBS, raw))
    rig.child_is("run-1", active=1, ready=1)
    await rig.visit("run")
    assert rig.status("run")["progress"]["summary"] == "1/3"
    assert rig.status("run")["state"] == "Running"


async def test_a_status_decided_on_an_older_version_is_not_written(rig: Rig) -> None:
    rig.job("run")
    rig.api.put(OCTOJOBS, merged(rig.api.objects[("octojobs", "run")], {"spec": {"cancel": CANCEL}}))
    with pytest.raises(RetryLaterError):
        await rig.begin("run")
    assert rig.status("run") == {}
    rig.world.saw(Kind.JOB, rig.api.objects[("octojobs", "run")])
    await rig.visit("run")
    assert rig.status("run")["state"] == "Cancelling"
    assert [write for write in rig.api.writes if write == "create jobs"] == ["create jobs"]


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (InvalidError("spec.template: bad"), "Failed", "JobRejected"),
        (ForbiddenError('jobs "run-1" is forbidden: exceeded quota: q'), "Retrying", "QuotaExceeded"),
    ],
)
async def test_a_job_that_is_refused_is_an_attempt_that_failed(
    rig: Rig, error: OctoError, state: str, reason: str
) -> None:
    rig.job("run")
    rig.api.refuse["create jobs"] = error
    await rig.visit("run")
    assert rig.status("run")["state"] == state
    assert rig.status("run")["attempts"][0]["reason"] == reason


async def test_a_lack_of_rights_may_pass_before_it_costs_an_attempt(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server that has just started answers 403 to everyone until it has read its roles."""
    rig.job("run")
    rig.api.refuse["create jobs"] = ForbiddenError('jobs.batch is forbidden: User "x" cannot create resource "jobs"')
    with pytest.raises(RetryLaterError):
        await rig.visit("run")
    assert rig.status("run").get("attempts", []) == []
    monkeypatch.setattr(act, "FORBIDDEN_PATIENCE_SECONDS", 0.0)
    await rig.visit("run")
    assert rig.status("run")["attempts"][0]["reason"] == "JobForbidden"


async def test_a_webhook_that_is_broken_is_waited_for_as_long_as_a_pod(rig: Rig) -> None:
    """The API server answers 500 for it, as it does when it is away itself."""
    rig.job("run", startAfter=rfc3339(at(1000)), pendingDeadlineSeconds=60, retryPolicy={"maxAttempts": 2})
    await rig.visit("run")
    said = 'Internal error occurred: failed calling webhook "w.example": 500'
    rig.seconds = 1000
    rig.api.refuse["create jobs"] = ClusterUnavailableError(f"the Kubernetes API answered 500: {said}")
    assert await rig.visit("run") == 30
    status = rig.status("run")
    assert (status["state"], status.get("attempts", [])) == ("Starting", [])
    running = next(c for c in status["conditions"] if c["type"] == "Running")
    assert running["reason"] == "WebhookUnavailable"
    assert said in running["message"]
    written = len(rig.api.writes)
    rig.seconds += 59
    assert await rig.visit("run") == 1
    assert rig.api.writes[written:] == ["create jobs"], "and it is said once"
    rig.seconds += 1
    assert await rig.visit("run") is not None
    status = rig.status("run")
    assert status["state"] == "Retrying"
    (attempt,) = status["attempts"]
    assert (attempt["category"], attempt["reason"]) == ("Infra", "WebhookUnavailable")

    # Met for the first time, it is waited for even if the attempt was due long ago.
    rig.seconds += 600
    assert await rig.visit("run") == 1
    assert rig.status("run")["state"] == "Starting"
    rig.seconds += 1
    await rig.visit("run")
    status = rig.status("run")
    assert (status["state"], status["failure"]["reason"]) == ("Failed", "WebhookUnavailable")
    assert "create jobs" in rig.api.writes
    assert rig.api.created == []


@pytest.mark.parametrize("policy", ["Enqueue", "Allow"])
async def test_a_refusal_that_may_pass_is_no_news_for_the_run_itself_or_for_those_that_wait(
    rig: Rig, policy: str
) -> None:
    """Each visit would bring the next one at once, and hold up the workers with requests that fail."""
    for name in ("a", "b", "c"):
        rig.job(name, concurrency={"policy": policy})
    rig.api.refuse["create jobs"] = ClusterUnavailableError("500: failed calling webhook")
    for _ in range(3):
        for name in ("a", "b", "c"):
            rig.queue.keys.clear()
            after = await rig.visit(name)
            assert after is not None
            assert after >= 30
            assert rig.queue.keys == []
        rig.seconds += 30
    tried = {"Enqueue": 3, "Allow": 9}[policy]
    assert rig.api.writes.count("create jobs") == tried, "of one key, only who is first in line tries"


async def test_one_that_is_held_while_its_job_is_refused_lets_the_next_in(rig: Rig) -> None:
    for name in ("a", "b"):
        rig.job(name)
    rig.api.refuse["create jobs"] = ClusterUnavailableError("500: failed calling webhook")
    await rig.visit("a")
    rig.api.refuse.clear()
    raw = merged(rig.api.objects[("octojobs", "a")], {"spec": {"suspend": True}})
    rig.world.saw(Kind.JOB, rig.api.put(OCTOJOBS, raw))
    await rig.visit("a")
    assert rig.status("a")["state"] == "Suspended"
    await rig.begin("b")
    assert rig.status("b")["state"] == "Starting"


async def test_a_run_goes_on_once_the_webhook_answers(rig: Rig) -> None:
    rig.job("run")
    rig.api.refuse["create jobs"] = ClusterUnavailableError("500: failed calling webhook")
    await rig.visit("run")
    rig.api.refuse.clear()
    await rig.begin("run")
    assert [attempt["number"] for attempt in rig.status("run")["attempts"]] == [1]
    assert rig.api.created == ["run"]


@pytest.mark.parametrize("error", [ClusterUnavailableError("503"), ConflictError("changed")])
async def test_a_passing_failure_is_tried_again_and_nothing_is_doubled(rig: Rig, error: OctoError) -> None:
    rig.job("run")
    rig.api.refuse["patch octojobs/status"] = error
    with pytest.raises(RetryLaterError):
        await rig.begin("run")
    rig.api.refuse.clear()
    await rig.visit("run")
    assert rig.status("run")["state"] == "Starting"
    assert rig.api.writes.count("create jobs") == 1


async def test_what_changes_nothing_of_a_job_that_counts_is_no_reason_for_a_visit(rig: Rig) -> None:
    rig.job("run")
    await rig.visit("run")
    rig.queue.keys.clear()
    rig.child_is("run-1", uncountedTerminatedPods={"succeeded": ["u"]})
    assert rig.queue.keys == []
    rig.child_is("run-1", active=1)
    assert rig.queue.keys == [(Kind.JOB, "run")]


async def test_a_job_that_vanished_is_judged_only_after_a_live_read(rig: Rig) -> None:
    rig.job("run")
    await rig.begin("run")
    rig.world.gone(Kind.CHILD, "run-1", "uid-run-1")  # the watch lost sight of it, but it is there
    await rig.visit("run")
    assert rig.status("run")["state"] == "Starting"
    assert rig.world.children.get("run-1") is not None, "the read is believed"
    del rig.api.objects[("jobs", "run-1")]
    rig.world.gone(Kind.CHILD, "run-1", "uid-run-1")
    await rig.visit("run")
    assert rig.status("run")["attempts"][0]["reason"] == "JobLost"
    assert rig.api.writes.count("create jobs") == 1


async def test_the_end_of_a_run_wakes_those_that_wait(rig: Rig) -> None:
    for name in ("a", "b"):
        rig.job(name)
        await rig.visit(name)
    rig.queue.keys.clear()
    await to_its_end(rig, "a")
    assert (Kind.JOB, "b") in rig.queue.keys
    await rig.begin("b")
    assert rig.status("b")["state"] == "Starting"
    assert "queuePosition" not in rig.status("b")


async def test_a_restart_knows_who_is_active(rig: Rig) -> None:
    rig.job("b")
    await rig.begin("b")
    rig.api.objects[("octojobs", "b")].pop("status")  # killed between the Job and the status
    again = Rig()
    again.api.objects, again.api.version = rig.api.objects, rig.api.version
    for (plural, _), raw in list(rig.api.objects.items()):
        kind = {"octojobs": Kind.JOB, "octoproviders": Kind.PROVIDER, "jobs": Kind.CHILD}[plural]
        again.world.saw(kind, raw)
    again.job("a")  # first in line by name, but the other is active
    await again.visit("a")
    assert again.status("a")["state"] == "Queued"
    await again.begin("b")
    assert again.status("b")["attempts"][0]["jobUID"] == "uid-b-1"


async def test_runs_of_two_providers_that_share_a_key_share_the_slot(rig: Rig) -> None:
    rig.provider("other", container={"image": "x"}, jobDefaults={"concurrency": {"key": "bank"}})
    rig.job("a")
    rig.job("b", providerRef={"name": "other"})
    rig.job("c", concurrency={"key": "bank"}, providerRef={"name": "other"})
    for name in ("a", "b", "c"):
        await rig.begin(name)
    assert [rig.status(name)["state"] for name in ("a", "b", "c")] == ["Starting", "Queued", "Queued"]


async def test_a_run_keeps_its_slot_when_the_provider_that_named_the_key_is_deleted(rig: Rig) -> None:
    for name, run in (("one", "a"), ("two", "b")):
        rig.provider(name, container={"image": "x"}, jobDefaults={"concurrency": {"key": "shared"}})
        rig.job(run, providerRef={"name": name})
        await rig.begin(run)
    rig.world.gone(Kind.PROVIDER, "one", "uid-one")
    for run in ("a", "b"):
        await rig.begin(run)
    assert [rig.status(run)["state"] for run in ("a", "b")] == ["Starting", "Queued"]
    await over(rig, "a")
    await rig.begin("b")
    assert rig.status("b")["state"] == "Starting"


@pytest.mark.parametrize("stood_by", [False, True])
async def test_a_turn_is_kept_over_a_restart_while_the_job_is_refused(rig: Rig, stood_by: bool) -> None:
    rig.job("a", concurrency={"policy": "Forbid"})
    made = rig.api.objects[("octojobs", "a")]
    rig.api.refuse["create jobs"] = ClusterUnavailableError("500: failed calling webhook")
    await rig.visit("a")
    rig.job("b", priority=5)
    await rig.visit("b")
    assert rig.status("b")["state"] == "Queued"
    again = Rig()
    again.api.objects, again.api.version = rig.api.objects, rig.api.version
    again.world.since = None
    again.world.saw(Kind.PROVIDER, rig.api.objects[("octoproviders", "bank")])
    if stood_by:
        again.world.saw(Kind.JOB, made)
    for name in ("b", "a"):
        again.world.saw(Kind.JOB, rig.api.objects[("octojobs", name)])
    again.world.since = at(again.seconds)
    for name in ("b", "a"):
        await again.begin(name)
    assert [again.status(name)["state"] for name in ("a", "b")] == ["Starting", "Queued"]


async def test_the_namespace_has_one_line_of_all_keys() -> None:
    rig = Rig(capacity=2)
    for number in range(6):
        rig.provider(f"p{number}", container={"image": "mine"})
        rig.job(f"r{number}", providerRef={"name": f"p{number}"}, priority=int(number == 5))
        await rig.begin(f"r{number}")
    assert [rig.status(f"r{n}")["state"] for n in range(6)] == ["Starting", "Starting", *["Queued"] * 4]
    assert [rig.status(f"r{n}")["queuePosition"] for n in range(2, 6)] == [1, 2, 3, 1]
    rig.queue.keys.clear()
    await over(rig, "r0")
    assert [name for kind, name in rig.queue.keys if kind is Kind.JOB] == ["r0", "r5", "r2", "r3", "r4"]
    for name in ("r2", "r3", "r5", "r4"):  # in whatever order they are visited
        await rig.begin(name)
    assert [rig.status(f"r{n}")["state"] for n in range(1, 6)] == ["Starting", *["Queued"] * 3, "Starting"]


async def test_a_restart_keeps_the_line_of_the_namespace() -> None:
    rig = Rig(capacity=1)
    for number in range(3):
        rig.provider(f"p{number}", container={"image": "mine"})
        rig.job(f"r{number}", providerRef={"name": f"p{number}"})
        await rig.begin(f"r{number}")
    again = Rig(capacity=1)
    again.api = rig.api
    again.actor._client = cast(KubeClient, rig.api)
    for kind, plural in ((Kind.PROVIDER, "octoproviders"), (Kind.CHILD, "jobs"), (Kind.JOB, "octojobs")):
        for (found, _), raw in sorted(rig.api.objects.items()):
            if found == plural:
                again.world.saw(kind, raw)
    await over(again, "r0")
    for name in ("r2", "r1"):
        await again.begin(name)
    assert (again.status("r1")["state"], again.status("r2")["state"]) == ("Starting", "Queued")


async def test_replace_cancels_the_active_run_and_follows_it(rig: Rig) -> None:
    rig.job("a")
    await rig.visit("a")
    rig.job("b", concurrency={"policy": "Replace"})
    await rig.visit("b")
    assert rig.api.objects[("octojobs", "a")]["spec"]["cancel"]["requestedBy"] == REPLACED_BY
    await rig.visit("a")
    assert rig.status("a")["state"] == "Cancelling"
    del rig.api.objects[("jobs", "a-1")]
    rig.world.gone(Kind.CHILD, "a-1", "uid-a-1")
    await rig.visit("a")
    await rig.begin("b")
    assert (rig.status("a")["state"], rig.status("b")["state"]) == ("Cancelled", "Starting")


async def test_a_run_waits_for_its_provider_and_goes_on_when_it_comes() -> None:
    rig = Rig()
    rig.job("run")
    await rig.visit("run")
    assert rig.status("run")["state"] == "Pending"
    rig.queue.keys.clear()
    rig.provider()
    assert (Kind.JOB, "run") in rig.queue.keys
    await rig.begin("run")
    assert rig.status("run")["state"] == "Starting"


async def test_postgres_down_holds_back_the_archive_and_nothing_else(rig: Rig) -> None:
    rig.mirror.up = False
    rig.job("a")
    rig.job("b")
    await to_its_end(rig, "a")
    await rig.visit("a")
    await rig.begin("b")
    assert (rig.status("a")["state"], rig.status("b")["state"]) == ("Succeeded", "Starting")
    archived = [c for c in rig.status("a")["conditions"] if c["type"] == "Archived"]
    assert archived[0]["status"] == "Unknown"


async def test_the_provider_says_how_its_runs_went(rig: Rig) -> None:
    await rig.reconciler.visit((Kind.PROVIDER, "bank"))
    assert rig.api.objects[("octoproviders", "bank")]["status"]["conditions"][0]["reason"] == "NotRunYet"
    rig.job("a")
    await to_its_end(rig, "a", exit_code=31)
    await rig.reconciler.visit((Kind.PROVIDER, "bank"))
    status = rig.api.objects[("octoproviders", "bank")]["status"]
    assert (status["conditions"][0]["status"], status["conditions"][0]["reason"]) == ("False", "HostKey")
    rig.job("b")
    rig.seconds = 50
    await to_its_end(rig, "b")
    await rig.reconciler.visit((Kind.PROVIDER, "bank"))
    status = rig.api.objects[("octoproviders", "bank")]["status"]
    assert (status["conditions"][0]["reason"], status["lastJob"]) == ("LastRunSucceeded", "b")
    assert status["lastSuccessTime"] == rfc3339(at(50))
    before = len(rig.api.writes)
    await rig.reconciler.visit((Kind.PROVIDER, "bank"))
    assert len(rig.api.writes) == before


async def test_of_very_many_runs_that_begin_few_are_told_of_at_once(rig: Rig) -> None:
    names = [f"run-{number}" for number in range(40)]
    for name in names:
        rig.job(name, concurrency={"policy": "Allow"})
        await rig.visit(name)
        rig.child_is(f"{name}-1", active=1, ready=1, startTime=rfc3339(at(2)))
    waits = [await rig.visit(name) for name in names]
    assert [rig.status(name).get("state") for name in names] == ["Running"] * SOON_AT_ONCE + [None] * 20
    assert waits[SOON_AT_ONCE:] == [SOON_SECONDS] * 20
    *_, ended, last = names
    rig.pod_ended(f"{ended}-1", 0)
    rig.child_is(f"{ended}-1", active=0, ready=0, conditions=[{"type": "Complete", "status": "True"}])
    await rig.visit(ended)
    assert rig.status(ended)["state"] == "Succeeded", "an end waits for nothing"
    assert rig.status(ended)["startTime"] == rfc3339(at(2))
    rig.seconds += SOON_SECONDS
    await rig.visit(last)
    assert rig.status(last)["state"] == "Running"


async def test_many_runs_that_end_well_are_told_of_on_their_provider_now_and_then(rig: Rig) -> None:
    wait = None
    for name in ("a", "b", "c"):
        rig.job(name)
        await to_its_end(rig, name)
        wait = await rig.reconciler.visit((Kind.PROVIDER, "bank"))
        rig.seconds += 2
    assert rig.api.writes.count("patch octoproviders/status") == 2, "that it is ready, and then once"
    assert wait == PROVIDER_EVERY_SECONDS - 2
    rig.seconds += 6
    assert await rig.reconciler.visit((Kind.PROVIDER, "bank")) is None
    assert rig.api.objects[("octoproviders", "bank")]["status"]["lastJob"] == "c"
    rig.job("d")
    await to_its_end(rig, "d", exit_code=31)
    await rig.reconciler.visit((Kind.PROVIDER, "bank"))
    conditions = rig.api.objects[("octoproviders", "bank")]["status"]["conditions"]
    assert conditions[0]["reason"] == "HostKey", "that it is not ready any more waits for nothing"


async def test_an_octojob_that_breaks_its_schema_is_left_alone(rig: Rig) -> None:
    rig.job("bad", retryPolicy={"maxAttempts": "many"})
    assert rig.world.jobs.get("bad") is None
    assert await rig.visit("bad") is None
    assert rig.api.writes == []


@pytest.mark.parametrize("mirrored", [True, False])
async def test_but_let_go_when_it_is_deleted(rig: Rig, mirrored: bool) -> None:
    """Such as one of a newer release, or with a time that the API server takes and nobody can reckon with."""
    rig.job("bad", startAfter="9999-12-31T23:59:59-05:00", finalizers=(ARCHIVE_FINALIZER, "another"))
    raw = merged(rig.api.objects[("octojobs", "bad")], {"metadata": {"deletionTimestamp": rfc3339(at(10))}})
    rig.world.saw(Kind.JOB, rig.api.put(OCTOJOBS, raw))
    rig.mirror.up = mirrored
    rig.seconds = 10 + POLICY.archive_fail_open_seconds - 1
    await rig.visit("bad")
    held = [ARCHIVE_FINALIZER, "another"]
    assert rig.api.objects[("octojobs", "bad")]["metadata"]["finalizers"] == (["another"] if mirrored else held)
    rig.seconds += 1
    await rig.visit("bad")
    assert rig.api.objects[("octojobs", "bad")]["metadata"]["finalizers"] == ["another"]
    assert rig.actor.counters.unarchived == (not mirrored)
    rig.world.gone(Kind.JOB, "bad", "uid-bad")
    assert (rig.world.unreadable, rig.mirror.deleted) == ({}, ["uid-bad"])


async def test_one_that_cannot_be_read_and_is_gone_is_forgotten(rig: Rig) -> None:
    rig.job("bad", retryPolicy={"maxAttempts": "many"})
    raw = merged(rig.api.objects[("octojobs", "bad")], {"metadata": {"deletionTimestamp": rfc3339(at(10))}})
    rig.world.saw(Kind.JOB, rig.api.put(OCTOJOBS, raw))
    del rig.api.objects[("octojobs", "bad")]
    assert await rig.visit("bad") is None
    assert (rig.world.unreadable, rig.mirror.deleted) == ({}, ["uid-bad"])


def test_a_merge_patch_has_only_what_differs() -> None:
    before = {"a": 1, "b": {"x": 1, "y": 2}, "c": [1], "d": 0}
    after = {"a": 1, "b": {"x": 1}, "c": [1, 2], "e": 5}
    patch = merge_patch(before, after)
    assert patch == {"b": {"y": None}, "c": [1, 2], "d": None, "e": 5}
    assert merged(before, patch) == after
    assert merge_patch(after, after) == {}


# ---- A write that finds nothing. --------------------------------------------------------------------


async def test_one_deleted_before_it_was_held_is_given_no_job_and_is_forgotten(rig: Rig) -> None:
    rig.job("run", finalizers=())
    del rig.api.objects[("octojobs", "run")]
    assert await rig.visit("run") is None
    assert rig.api.writes == ["patch octojobs"]
    assert rig.world.jobs.get("run") is None
    assert rig.mirror.deleted == ["uid-run"]


async def test_one_that_no_watch_told_of_the_end_is_looked_for_once_a_write_does_not_find_it(rig: Rig) -> None:
    for name in ("a", "b"):
        rig.job(name)
    await rig.visit("a")
    await rig.visit("b")
    del rig.api.objects[("octojobs", "a")]
    rig.queue.keys.clear()
    rig.seconds += 3
    assert await rig.visit("a") is None
    assert rig.mirror.deleted == ["uid-a"]
    assert rig.queue.keys == [(Kind.JOB, "b")], "whom it kept waiting"
    await rig.visit("b")
    assert rig.api.created == ["a", "b"]


async def test_one_whose_name_is_anothers_by_now_is_gone_too(rig: Rig) -> None:
    rig.job("run", ttl={"afterSuccessSeconds": 1})
    await to_its_end(rig, "run")
    await rig.visit("run")
    other = rig.api.objects[("octojobs", "run")]
    del rig.api.objects[("octojobs", "run")]
    rig.seconds += 60
    rig.api.refuse["delete octojobs"] = NotFoundError('octojobs "run" not found')
    rig.api.put(OCTOJOBS, merged(other, {"metadata": {"uid": "uid-later"}}))
    assert await rig.visit("run") is None
    assert rig.mirror.deleted == ["uid-run"]


@pytest.mark.parametrize("told", ['octojobs "run" not found', "404 page not found"])
async def test_one_that_is_there_after_all_is_kept(rig: Rig, told: str) -> None:
    rig.job("run", finalizers=())
    rig.api.refuse["patch octojobs"] = NotFoundError(told)
    with pytest.raises(RetryLaterError):
        await rig.visit("run")
    assert rig.world.jobs.get("run") is not None
    assert rig.mirror.deleted == []


async def test_a_server_that_does_not_know_the_kind_proves_nothing(rig: Rig) -> None:
    rig.job("run", finalizers=())
    del rig.api.objects[("octojobs", "run")]
    rig.api.refuse["patch octojobs"] = NotFoundError("404 page not found")
    with pytest.raises(RetryLaterError):
        await rig.visit("run")
    assert rig.mirror.deleted == []


async def test_a_victim_that_is_gone_keeps_nobody_waiting(rig: Rig) -> None:
    rig.job("a")
    await rig.visit("a")
    rig.job("b", concurrency={"policy": "Replace"})
    del rig.api.objects[("octojobs", "a")]
    await rig.visit("b")
    assert rig.mirror.deleted == ["uid-a"]
    await rig.begin("b")
    assert rig.status("b")["state"] == "Starting"
