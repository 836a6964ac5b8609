"""The branches of ``decide``, one by one. The properties over all of them are in test_properties."""

from __future__ import annotations

import json
from typing import Any

import pytest

from octo_controller.reconcile.draft import STATUS_LIMIT_BYTES, fit
from octo_controller.reconcile.model import (
    REPLACED_BY,
    AddFinalizer,
    CancelPeer,
    CreateJob,
    DeleteJob,
    DeleteOctoJob,
    DeletePods,
    Look,
    Pods,
    Refusal,
    ReleaseFinalizer,
    SuspendJob,
)
from octo_core.crd.resources import OctoProvider
from octo_core.domain.causes import CAUSES
from octo_core.domain.failure import EXIT_CODES, RESOLUTIONS, Category
from octo_core.domain.status import Attempt, ConditionStatus, ConditionType, OctoJobStatus, Progress, State
from tests.unit.octo_controller.builders import (
    CANCEL,
    at,
    child,
    condition,
    job,
    kinds,
    look_of,
    observed,
    peer,
    plan_of,
    pod,
    provider,
    running,
    started,
)

CONTAINER = {"container": {"image": "mine"}}


def ended(exit_code: int, message: str = "", **spec: Any) -> Any:
    """What is decided once the running first attempt has ended so."""
    over = child(complete=exit_code == 0, failed=exit_code != 0, failed_reason="BackoffLimitExceeded", started=at(1))
    pods = Pods((pod(exit_code=exit_code, message=message),))
    return plan_of(observed(job(status=running(**spec), **spec), children=(over,), pods=pods), 60)


class TestStart:
    def test_a_new_run_gets_its_job_and_all_conditions_in_one_write(self) -> None:
        plan = plan_of(observed())
        assert plan.actions == (CreateJob(1),)
        assert plan.status.state is State.STARTING
        assert [c.type for c in plan.status.conditions] == list(ConditionType)
        assert plan.status.observed_generation == 1

    def test_a_run_made_without_the_finalizer_gets_it_before_its_job(self) -> None:
        assert plan_of(observed(job(finalizers=()))).actions == (AddFinalizer(), CreateJob(1))

    def test_a_missing_provider_is_named_and_waited_for(self) -> None:
        plan = plan_of(observed(provider=None))
        accepted = condition(plan.status, ConditionType.ACCEPTED)
        assert (plan.actions, plan.status.state) == ((), State.PENDING)
        assert (accepted.status, accepted.reason) == (ConditionStatus.FALSE, "ProviderNotFound")
        assert "'bank'" in accepted.message
        assert plan_of(observed(job(status=plan.status))).actions == (CreateJob(1),)

    def test_a_provider_that_does_not_come_ends_the_run_at_its_pending_deadline(self) -> None:
        plan = plan_of(observed(provider=None), 900)
        assert plan.status.state is State.FAILED
        assert plan.status.failure is not None
        assert (plan.status.failure.category, plan.status.failure.reason) == (Category.CONFIG, "ProviderNotFound")

    def test_a_provider_deleted_while_a_run_waits_gives_it_the_whole_deadline_from_then_on(self) -> None:
        concurrency = {"policy": "Enqueue", "max": 1}
        waits = plan_of(observed(job(concurrency=concurrency), peers=(peer(active=True),)), 5000).status
        assert waits.state is State.QUEUED
        orphan = plan_of(observed(job(status=waits, concurrency=concurrency), provider=None), 6000)
        assert (orphan.status.state, orphan.requeue_after) == (State.PENDING, 900)
        later = plan_of(observed(job(status=orphan.status, concurrency=concurrency), provider=None), 6899)
        assert later.status.state is State.PENDING
        end = plan_of(observed(job(status=orphan.status, concurrency=concurrency), provider=None), 6900).status
        assert end.failure is not None
        assert (end.state, end.failure.reason) == (State.FAILED, "ProviderNotFound")

    def test_a_provider_deleted_while_an_attempt_runs_does_not_touch_it(self) -> None:
        over = child(complete=True, started=at(1))
        seen = observed(job(status=running()), children=(child(ready=1, started=at(1)),), provider=None)
        assert (plan_of(seen, 60).actions, plan_of(seen, 60).status.state) == ((), State.RUNNING)
        done = observed(seen.job, children=(over,), provider=None, pods=Pods((pod(exit_code=0),)))
        assert plan_of(done, 90).status.state is State.SUCCEEDED

    def test_nor_does_it_take_from_the_time_that_the_provider_gave_it(self) -> None:
        """The Job has its own deadline; what of the run's is not known any more, is not guessed."""
        seen = observed(job(status=running()), children=(child(ready=1, started=at(1)),), provider=None)
        assert plan_of(seen, 200_000).actions == ()
        own: dict[str, Any] = {"activeDeadlineSeconds": 100}
        seen = observed(job(status=running(**own), **own), children=(child(ready=1, started=at(1)),), provider=None)
        assert plan_of(seen, 101).actions == (DeleteJob("run-1", "job-1"),), "what the run says itself still counts"

    @pytest.mark.parametrize("there", [None, provider()])
    def test_nor_from_the_grace_of_its_pods_nor_does_a_change(self, there: OctoProvider | None) -> None:
        gone = child(ready=1, deleted_at=10, grace=3600)
        seen = observed(job(status=running(), cancel=CANCEL), children=(gone,), provider=there)
        assert (plan_of(seen, 101).actions, plan_of(seen, 101).requeue_after) == ((), 3600 + 30 - 91)

    def test_a_provider_that_cannot_be_read_says_why(self) -> None:
        plan = plan_of(observed(provider=None, provider_problem="spec.source: missing"))
        assert condition(plan.status, ConditionType.ACCEPTED).reason == "InvalidSpec"

    def test_a_run_does_not_start_before_its_time(self) -> None:
        plan = plan_of(observed(job(startAfter="2026-01-02T04:04:05Z")), 60)
        assert (plan.actions, plan.status.state, plan.requeue_after) == ((), State.PENDING, 3540)
        assert condition(plan.status, ConditionType.ADMITTED).reason == "StartAfter"

    def test_a_suspended_run_does_not_start_until_it_is_resumed(self) -> None:
        plan = plan_of(observed(job(suspend=True)))
        assert (plan.actions, plan.status.state) == ((), State.SUSPENDED)
        assert plan_of(observed(job(status=plan.status))).status.state is State.STARTING

    def test_a_cancel_before_the_start_needs_no_job(self) -> None:
        plan = plan_of(observed(job(cancel=CANCEL), absent=True, pods=Pods()))
        assert (plan.actions, plan.status.state) == ((), State.CANCELLED)
        assert condition(plan.status, ConditionType.SUCCEEDED).message == "wrong day"

    def test_a_name_taken_by_another_fails_the_attempt(self) -> None:
        refusal = Refusal(1, Category.CONFIG, "NameTaken", "there is a Job 'run-1'")
        plan = plan_of(observed(refusal=refusal))
        assert (plan.actions, plan.status.state) == ((), State.FAILED)
        assert plan.status.failure is not None
        assert plan.status.failure.resolution == CAUSES["NameTaken"].resolution

    def test_a_name_that_an_earlier_run_still_has_is_waited_for_until_the_pending_deadline(self) -> None:
        refusal = Refusal(1, Category.CONFIG, "NameTaken", "there is 'run-1'", passing=True, again_after=5)
        first = plan_of(observed(refusal=refusal), 10)
        assert (first.actions, first.status.state, first.requeue_after) == ((), State.STARTING, 5)
        why = condition(first.status, ConditionType.RUNNING)
        assert (why.reason, why.message) == ("NameTaken", "there is 'run-1'")
        later = observed(job(status=first.status), refusal=refusal)
        assert plan_of(later, 909).status.state is State.STARTING
        over = plan_of(later, 910).status
        assert over.failure is not None
        assert (over.state, over.failure.reason) == (State.FAILED, "NameTaken")

    def test_a_refusal_that_may_pass_is_retried_by_the_policy(self) -> None:
        plan = plan_of(observed(refusal=Refusal(1, Category.INFRA, "JobForbidden", "quota")))
        assert (plan.status.state, plan.status.attempts[0].job_uid) == (State.RETRYING, None)


class TestInvariant1AndTwo:
    def test_a_job_made_before_a_crash_is_adopted_not_doubled(self) -> None:
        plan = plan_of(observed(children=(child(),)))
        assert plan.actions == ()
        assert plan.status.attempts[0].job_uid == "job-1"
        assert plan.status.job_ref is not None
        assert plan.status.job_ref.name == "run-1"

    def test_a_job_of_another_owner_is_not_adopted(self) -> None:
        assert plan_of(observed(children=(child(owner_uid="someone"),))).actions == (CreateJob(1),)

    def test_a_recorded_attempt_is_not_created_again_when_the_cache_lost_its_job(self) -> None:
        seen = observed(job(status=running()))
        assert look_of(seen) == Look(job="run-1", uid="job-1")

    def test_a_vanished_job_is_lost_only_after_a_live_read_and_when_its_pods_are_gone(self) -> None:
        seen: dict[str, Any] = {"absent": True}
        assert look_of(observed(job(status=running()), **seen)) == Look(pods="run-1", uid="job-1")
        alive = plan_of(observed(job(status=running()), pods=Pods((pod(phase="Running"),)), **seen), 20)
        assert alive.actions == (DeletePods((("run-1-x", "pod-1"),), force=False),)
        assert alive.status.state is State.RUNNING
        gone = plan_of(observed(job(status=running()), pods=Pods(), **seen), 20)
        assert gone.status.state is State.RETRYING
        assert gone.status.attempts[0].reason == "JobLost"
        assert gone.actions == ()


class TestRunning:
    def test_a_ready_pod_makes_it_running(self) -> None:
        status = running()
        assert status.state is State.RUNNING
        assert status.start_time == at(1)

    def test_a_running_run_is_at_rest(self) -> None:
        seen = observed(job(status=running()), children=(child(ready=1, active=1, started=at(1)),))
        assert plan_of(seen, 30).status == running()

    def test_without_progress_it_is_stalled_and_with_it_not(self) -> None:
        alive = (child(ready=1, active=1, started=at(1)),)
        stalled = plan_of(observed(job(status=running()), children=alive), 601).status
        assert condition(stalled, ConditionType.STALLED).status is ConditionStatus.TRUE
        assert stalled.state is State.RUNNING
        reported = stalled.model_copy(update={"progress": Progress(updated_at=at(650))})
        back = plan_of(observed(job(status=reported), children=alive), 660)
        assert condition(back.status, ConditionType.STALLED).status is ConditionStatus.FALSE
        assert back.requeue_after == 590

    def test_a_container_that_never_reports_is_not_stalled(self) -> None:
        seen = observed(job(status=running()), provider=provider(**CONTAINER), children=(child(ready=1),))
        assert condition(plan_of(seen, 5000).status, ConditionType.STALLED).status is ConditionStatus.FALSE

    def test_the_gap_between_the_pods_end_and_the_jobs_is_no_change_of_state(self) -> None:
        seen = observed(job(status=running()), children=(child(active=1, started=at(1)),))
        assert look_of(seen, 30).pods == "run-1"
        over = plan_of(observed(seen.job, children=seen.children, pods=Pods((pod(exit_code=0),))), 30)
        assert over.status == running()

    def test_a_pod_replaced_after_a_disruption_shows_as_starting_again(self) -> None:
        seen = observed(job(status=running()), children=(child(active=1, started=at(1)),), pods=Pods((pod(),)))
        assert plan_of(seen, 300).status.state is State.STARTING


class TestPending:
    def test_a_pod_is_looked_at_only_once_it_is_late(self) -> None:
        seen = observed(job(status=started()), children=(child(active=1),))
        assert plan_of(seen, 5).requeue_after == 5
        assert look_of(seen, 10) == Look(pods="run-1", warnings=True, may_wait=True)

    def test_until_its_turn_to_be_looked_at_what_is_known_of_it_stays(self) -> None:
        unknown = observed(job(), children=(child(active=1),), look_in=7.5)
        assert (plan_of(unknown, 10).status.state, plan_of(unknown, 10).requeue_after) == (State.STARTING, 7.5)
        known = plan_of(
            observed(job(status=started()), children=(child(active=1),), pods=Pods((pod(unschedulable="0/3"),))), 10
        )
        assert condition(known.status, ConditionType.RUNNING).reason == "Unschedulable"
        later = plan_of(observed(job(status=known.status), children=(child(active=1),), look_in=7.5), 40)
        assert (later.status, later.requeue_after) == (known.status, 7.5)

    def test_the_last_look_before_it_is_given_up_waits_for_nothing(self) -> None:
        seen = observed(job(status=started()), children=(child(active=1),), look_in=7.5)
        assert look_of(seen, 900) == Look(pods="run-1", warnings=True)

    @pytest.mark.parametrize(
        ("late", "category", "reason"),
        [
            (pod(waiting="ImagePullBackOff", waiting_message="i/o timeout"), Category.INFRA, "ImagePullError"),
            (pod(waiting="InvalidImageName"), Category.CONFIG, "InvalidImageName"),
            (pod(waiting="CreateContainerConfigError"), Category.CONFIG, "CreateContainerConfigError"),
            (pod(unschedulable="0/1 nodes are available"), Category.INFRA, "Unschedulable"),
            (pod(warnings=('MountVolume.SetUp failed: secret "c" not found',)), Category.CONFIG, "SecretMissing"),
            (
                pod(warnings=('volume "octo-openpgp" : references non-existent secret key: old.asc',)),
                Category.CONFIG,
                "SecretMissing",
            ),
            (pod(), Category.INFRA, "PodPending"),
            (None, Category.INFRA, "PodNotCreated"),
        ],
    )
    def test_the_reason_shows_and_at_the_deadline_it_is_the_verdict(
        self, late: Any, category: Category, reason: str
    ) -> None:
        pods = Pods((late,)) if late else Pods()
        seen = observed(job(status=started()), children=(child(active=1),), pods=pods)
        waiting = plan_of(seen, 20)
        assert (waiting.actions, waiting.status.state) == ((), State.STARTING)
        assert condition(waiting.status, ConditionType.RUNNING).reason == reason
        due = plan_of(seen, 900)
        assert due.actions == (DeleteJob("run-1", "job-1"),)
        assert due.status.attempts[0].category is category
        assert due.status.state is State.STARTING, "not over while the pod may still start"
        last = observed(job(status=due.status), absent=True, pods=Pods())
        end = plan_of(last, 910)
        assert end.status.attempts[0].reason == "PendingDeadlineExceeded"
        assert end.status.state is (State.RETRYING if category is Category.INFRA else State.FAILED)

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ("exceeded quota: pods", "QuotaExceeded"),
            ('violates PodSecurity "restricted"', "PodSecurityViolation"),
        ],
    )
    def test_a_job_without_a_pod_says_why(self, said: str, reason: str) -> None:
        seen = observed(job(status=started()), children=(child(),), pods=Pods((), (said,)))
        assert condition(plan_of(seen, 20).status, ConditionType.RUNNING).reason == reason

    def test_a_deadline_that_was_written_down_is_carried_out_after_a_restart(self) -> None:
        seen = observed(job(status=started()), children=(child(),), pods=Pods())
        due = plan_of(seen, 900)
        again = plan_of(observed(job(status=due.status), children=(child(),)), 905)
        assert again.actions == (DeleteJob("run-1", "job-1"),)


class TestSeveralWorkers:
    """A run that three workers share."""

    def seen(self, *pods: Any, status: Any = None, **job_says: Any) -> Any:
        says = {"workers": 3, "active": 3, "started": at(1), **job_says}
        return observed(job(status=status or running()), children=(child(**says),), pods=Pods(pods) if pods else None)

    def test_it_runs_as_long_as_one_of_them_does(self) -> None:
        assert plan_of(self.seen(ready=1), 5000).status.state is State.RUNNING
        assert plan_of(self.seen(ready=1), 5000).actions == ()

    def test_it_starts_when_the_first_of_them_does(self) -> None:
        assert plan_of(self.seen(ready=1, status=started()), 30).status.state is State.RUNNING

    def test_one_that_has_no_place_when_the_others_are_done_is_pending(self) -> None:
        """The ended pods of the others are no sign that Kubernetes is about to end the Job."""
        late = pod(name="c", index=2, unschedulable="0/1 nodes")
        pods = (pod(name="a", exit_code=0), pod(name="b", index=1, exit_code=0), late)
        says = {"active": 1, "succeeded": frozenset({0, 1})}
        assert look_of(self.seen(**says), 500).pods == "run-1"
        waits = plan_of(self.seen(*pods, **says), 500)
        assert waits.status.state is State.STARTING
        # The time that counts begins when the last of the others ended, not when the Job was made.
        still = plan_of(self.seen(*pods, status=waits.status, **says), 1399)
        assert (still.actions, condition(still.status, ConditionType.RUNNING).reason) == ((), "Unschedulable")
        due = plan_of(self.seen(*pods, status=waits.status, **says), 1400)
        assert due.actions == (DeleteJob("run-1", "job-1"),)
        assert (due.status.attempts[0].reason, due.status.attempts[0].pod_name) == ("PendingDeadlineExceeded", "c")

    def test_one_that_never_gets_a_pod_is_pending_too(self) -> None:
        seen = self.seen(active=0, succeeded=frozenset({0, 1}), status=running())
        assert look_of(seen, 500) == Look(pods="run-1", warnings=True, may_wait=True)
        pods = Pods((pod(name="a", exit_code=0), pod(name="b", index=1, exit_code=0)), ("exceeded quota: pods",))
        first = plan_of(observed(seen.job, children=seen.children, pods=pods), 500)
        assert first.status.state is State.STARTING
        later = plan_of(observed(job(status=first.status), children=seen.children, pods=pods), 520)
        assert condition(later.status, ConditionType.RUNNING).reason == "QuotaExceeded"
        due = plan_of(observed(job(status=first.status), children=seen.children, pods=pods), 1400)
        assert due.actions == (DeleteJob("run-1", "job-1"),)

    def test_the_gap_before_the_job_says_that_all_ended_is_no_change_of_state(self) -> None:
        settled = self.seen(active=0, succeeded=frozenset({0, 1}), unsuccessful=frozenset({2}))
        assert plan_of(settled, 30).status == running()
        pods = tuple(pod(name=f"p{index}", index=index, exit_code=0) for index in range(3))
        assert plan_of(self.seen(*pods, active=0, succeeded=frozenset({0})), 30).status == running()

    def test_a_worker_that_a_disruption_took_is_waited_for(self) -> None:
        taken = pod(name="a", exit_code=50, disrupted=True)
        others = tuple(pod(name=f"p{index}", index=index, exit_code=0) for index in (1, 2))
        says = {"active": 0, "succeeded": frozenset({1, 2})}
        assert plan_of(self.seen(taken, *others, **says), 30).status.state is State.STARTING
        back = pod(name="a2", phase="Running", running=True)
        assert plan_of(self.seen(taken, back, *others, **says), 30).status.state is State.RUNNING

    def test_the_reason_that_tells_most_is_shown(self) -> None:
        pods = (pod(name="a"), pod(name="b", index=1, waiting="ImagePullBackOff"), pod(name="c", index=2))
        seen = self.seen(*pods, status=started())
        assert condition(plan_of(seen, 20).status, ConditionType.RUNNING).reason == "ImagePullError"

    def test_their_words_become_one_status(self) -> None:
        def ended(index: int, done: int, category: str | None, code: int) -> Any:
            outcome = {
                "reason": category or "Completed",
                "category": category,
                "message": "f.csv: damaged" if category else "",
                "progress": {"filesSelected": 4, "filesDone": done, "bytesUploaded": 10},
            }
            return pod(name=f"p{index}", index=index, exit_code=code, message=json.dumps(outcome))

        over = {"active": 0, "failed": True, "failed_reason": "FailedIndexes"}
        seen = self.seen(
            *(ended(0, 4, None, 0), ended(1, 3, "Integrity", 34), ended(2, 4, None, 0)),
            **{**over, "succeeded": frozenset({0, 2}), "unsuccessful": frozenset({1})},
        )
        status = plan_of(seen, 60).status
        assert status.state is State.FAILED
        assert status.failure is not None
        assert status.failure.message == "worker 2 of 3: f.csv: damaged"
        assert (status.failure.category, status.failure.exit_code) == (Category.INTEGRITY, 34)
        assert status.attempts[0].pod_name == "p1"
        assert status.progress is not None
        assert (status.progress.summary, status.progress.bytes_uploaded) == ("11/12", 30)

    @pytest.mark.parametrize(("reported_at", "summary"), [(30, "9/12"), (-30, "4/4")])
    def test_a_sum_without_all_of_them_does_not_replace_what_was_reported_of_all(
        self, reported_at: float, summary: str
    ) -> None:
        reported = Progress(files_done=9, files_selected=12, summary="9/12", updated_at=at(reported_at))
        outcome = {"reason": "Completed", "progress": {"filesSelected": 4, "filesDone": 4}}
        pods = [pod(exit_code=0, message=json.dumps(outcome))]
        pods += [pod(name=f"p{index}", index=index, exit_code=137) for index in (1, 2)]
        status = running().model_copy(update={"progress": reported})
        over = {"active": 0, "failed": True, "succeeded": frozenset({0}), "unsuccessful": frozenset({1, 2})}
        after = plan_of(self.seen(*pods, status=status, **over), 60).status
        assert after.progress is not None
        assert after.progress.summary == summary

    def test_a_cancel_takes_them_all(self) -> None:
        live = [pod(name=f"p{index}", index=index, uid=f"u{index}", phase="Running") for index in range(3)]
        seen = observed(
            job(status=running(), cancel={**CANCEL, "mode": "Force"}),
            children=(child(workers=3, ready=3),),
            pods=Pods(tuple(live)),
        )
        assert plan_of(seen, 20).actions == (
            DeleteJob("run-1", "job-1"),
            DeletePods((("p0", "u0"), ("p1", "u1"), ("p2", "u2")), force=True),
        )


class TestEnd:
    def test_the_end_is_judged_with_the_pods_words(self) -> None:
        seen = observed(job(status=running()), children=(child(complete=True),))
        assert look_of(seen) == Look(pods="run-1")

    def test_success_carries_the_workers_reason_progress_and_manifest(self) -> None:
        outcome = {
            "reason": "NoNewFiles",
            "progress": {"filesListed": 4, "filesSkipped": 4, "summary": "0/0"},
            "manifest": {"uri": "s3://landing/m.jsonl", "sha256": "0" * 64},
        }
        status = ended(0, json.dumps(outcome)).status
        assert status.state is State.SUCCEEDED
        assert condition(status, ConditionType.SUCCEEDED).reason == "NoNewFiles"
        assert status.progress.files_listed == 4
        assert status.manifest_ref.uri == "s3://landing/m.jsonl"
        assert status.completion_time == at(60)

    @pytest.mark.parametrize("category", list(Category))
    def test_the_exit_code_is_the_category(self, category: Category) -> None:
        plan = ended(EXIT_CODES[category])
        expected = Category.INFRA if category is Category.CANCELLED else category
        assert plan.status.attempts[0].category is expected
        retried = expected in (
            Category.INFRA,
            Category.REMOTE_UNAVAILABLE,
            Category.SINK_UNAVAILABLE,
            Category.TIMEOUT,
            Category.UNKNOWN,
        )
        assert plan.status.state is (State.RETRYING if retried else State.FAILED)
        if not retried:
            assert plan.status.failure.resolution == RESOLUTIONS[expected]
            assert plan.status.failure.exit_code == EXIT_CODES[category]

    @pytest.mark.parametrize(
        ("over", "pods", "category", "reason"),
        [
            (child(failed=True, failed_reason="DeadlineExceeded"), Pods(), Category.TIMEOUT, "DeadlineExceeded"),
            (child(failed=True), Pods(), Category.INFRA, "PodLost"),
            (child(failed=True), Pods((pod(exit_code=137, why="OOMKilled"),)), Category.INFRA, "OOMKilled"),
            (child(failed=True), Pods((pod(exit_code=137),)), Category.INFRA, "Killed"),
            (child(failed=True), Pods((pod(phase="Failed", reason="Evicted"),)), Category.INFRA, "Evicted"),
            (child(failed=True), Pods((pod(phase="Failed", reason="NodeLost"),)), Category.INFRA, "NodeLost"),
            (child(failed=True), Pods((pod(exit_code=128, why="StartError"),)), Category.CONFIG, "StartError"),
            (child(failed=True), Pods((pod(exit_code=77, message="what"),)), Category.UNKNOWN, "Error"),
        ],
    )
    def test_what_ended_it_is_told_apart(self, over: Any, pods: Pods, category: Category, reason: str) -> None:
        attempt = plan_of(observed(job(status=running()), children=(over,), pods=pods), 60).status.attempts[0]
        assert (attempt.category, attempt.reason) == (category, reason)

    def test_secrets_in_the_last_words_of_a_container_do_not_travel(self) -> None:
        words = "login failed: password=hunter2 at sftp://u:hunter2@h/ Authorization: Bearer hunter2"
        assert "hunter2" not in ended(77, words).status.model_dump_json()

    def test_retries_wait_longer_each_time_and_end(self) -> None:
        policy = {"maxAttempts": 3, "backoffSeconds": 30, "backoffFactor": 4, "maxBackoffSeconds": 60}
        first = ended(20, retryPolicy=policy)
        assert first.status.state is State.RETRYING
        assert first.status.next_attempt_time == at(90)
        over = child(failed=True)
        early = plan_of(observed(job(status=first.status, retryPolicy=policy), children=(over,)), 80)
        assert (early.actions, early.requeue_after) == ((), 10)
        second = plan_of(observed(job(status=first.status, retryPolicy=policy), children=(over,)), 90)
        assert second.actions == (CreateJob(2),)
        assert (second.status.attempt, second.status.next_attempt_time) == (2, None)

    def test_a_clock_that_is_set_back_does_not_make_a_retry_wait_longer_than_its_policy_says(self) -> None:
        policy = {"backoffSeconds": 30}
        first = ended(20, retryPolicy=policy)
        seen = observed(job(status=first.status, retryPolicy=policy), children=(child(failed=True),))
        back = plan_of(seen, -3600)
        assert back.requeue_after is not None
        assert back.requeue_after <= 30
        assert back.status.next_attempt_time == at(-3600 + back.requeue_after)
        again = plan_of(observed(job(status=back.status, retryPolicy=policy), children=seen.children), -3570)
        assert again.actions == (CreateJob(2),)

    def test_a_retry_waits_until_nothing_of_the_last_attempt_is_left(self) -> None:
        first = ended(20)
        again = plan_of(observed(job(status=first.status), children=(child(active=1),)), 900)
        assert kinds(again.actions) == ["DeleteJob"]

    def test_the_last_attempt_fails_the_run(self) -> None:
        plan = ended(20, retryPolicy={"maxAttempts": 1})
        assert plan.status.state is State.FAILED
        assert plan.status.failure.retryable

    def test_the_status_stays_below_its_limit(self) -> None:
        many = tuple(
            Attempt(number=n, job_uid="u" * 36, pod_name="p" * 60, reason="r" * 200, message="ü" * 512)
            for n in range(1, 21)
        )
        small = fit(running().model_copy(update={"attempts": many}))
        assert len(small.model_dump_json(by_alias=True, exclude_none=True).encode()) <= STATUS_LIMIT_BYTES
        assert small.attempts[-1].message is not None
        assert len(small.attempts) == 20


class TestCancel:
    def seen(self, view: Any, **more: Any) -> Any:
        mode = more.pop("mode", "Graceful")
        return observed(
            job(status=running(), cancel={**CANCEL, "mode": mode}), children=(view,) if view else (), **more
        )

    def test_graceful_deletes_the_job_and_is_not_over_before_its_pods_are(self) -> None:
        asked = plan_of(self.seen(child(ready=1, active=1)), 20)
        assert asked.actions == (DeleteJob("run-1", "job-1"),)
        assert asked.status.state is State.CANCELLING
        waiting = plan_of(self.seen(child(active=1, deleted_at=20)), 25)
        assert (waiting.actions, waiting.status.state) == ((), State.CANCELLING)
        assert look_of(self.seen(None)) == Look(job="run-1", uid="job-1")
        still = plan_of(self.seen(None, absent=True, pods=Pods((pod(phase="Running", deletion=at(80)),))), 30)
        assert still.status.state is State.CANCELLING
        done = plan_of(self.seen(None, absent=True, pods=Pods()), 30)
        assert done.status.state is State.CANCELLED
        assert done.status.attempts[0].category is Category.CANCELLED

    def test_after_the_grace_and_a_margin_the_pods_are_killed(self) -> None:
        late = self.seen(child(active=1, deleted_at=20))
        assert look_of(late, 20 + 60 + 30) == Look(pods="run-1")
        forced = plan_of(self.seen(child(deleted_at=20), pods=Pods((pod(phase="Running"),))), 110)
        assert forced.actions == (DeletePods((("run-1-x", "pod-1"),), force=True),)

    def test_force_kills_at_once(self) -> None:
        forced = plan_of(self.seen(child(ready=1), mode="Force", pods=Pods((pod(phase="Running"),))), 20)
        assert kinds(forced.actions) == ["DeleteJob", "DeletePods"]

    def test_a_run_that_was_faster_keeps_its_outcome(self) -> None:
        won = plan_of(self.seen(child(complete=True), pods=Pods((pod(exit_code=0),))), 20)
        assert won.status.state is State.SUCCEEDED
        lost = plan_of(self.seen(child(failed=True), pods=Pods((pod(exit_code=20),))), 20)
        assert lost.status.state is State.FAILED, "and no retry"
        obeyed = plan_of(self.seen(child(failed=True), pods=Pods((pod(exit_code=50),))), 20)
        assert obeyed.status.state is State.CANCELLED

    def test_between_attempts_it_is_over_once_nothing_of_a_next_one_is_found(self) -> None:
        between = job(status=ended(20).status, cancel=CANCEL)
        first = (child(failed=True),)
        assert look_of(observed(between, children=first), 70) == Look(job="run-2", owner="uid-run")
        assert look_of(observed(between, children=first, absent=True), 70) == Look(pods="run-2")
        clear = observed(between, children=first, absent=True, pods=Pods())
        assert plan_of(clear, 70).status.state is State.CANCELLED

    def test_before_the_start_it_is_not_over_while_pods_of_a_job_that_went_run(self) -> None:
        seen = observed(job(cancel=CANCEL), absent=True, pods=Pods((pod(phase="Running"),)))
        plan = plan_of(seen)
        assert plan.actions == (DeletePods((("run-1-x", "pod-1"),), force=False),)
        assert (plan.status.state, plan.requeue_after) == (State.CANCELLING, 2)
        force = observed(job(cancel={**CANCEL, "mode": "Force"}), absent=True, pods=seen.pods)
        assert plan_of(force).actions == (DeletePods((("run-1-x", "pod-1"),), force=True),)

    def test_a_job_of_an_attempt_that_was_given_up_is_waited_for_too(self) -> None:
        between = job(status=ended(20).status, cancel=CANCEL)
        plan = plan_of(observed(between, children=(child(active=1),)), 70)
        assert (plan.actions, plan.status.state) == ((DeleteJob("run-1", "job-1"),), State.CANCELLING)
        late = observed(between, children=(child(active=1, deleted_at=70),), pods=Pods((pod(phase="Running"),)))
        assert plan_of(late, 500).actions == (DeletePods((("run-1-x", "pod-1"),), force=True),)

    def test_a_job_made_just_before_is_found_and_deleted(self) -> None:
        plan = plan_of(observed(job(cancel=CANCEL), children=(child(active=1),)))
        assert plan.actions == (DeleteJob("run-1", "job-1"),)
        assert plan.status.state is State.CANCELLING

    def test_a_replaced_run_says_so(self) -> None:
        plan = plan_of(observed(job(cancel={**CANCEL, "requestedBy": REPLACED_BY}), absent=True, pods=Pods()))
        assert condition(plan.status, ConditionType.SUCCEEDED).reason == "Replaced"


class TestSuspend:
    def test_a_running_run_is_held_and_goes_on(self) -> None:
        held = plan_of(observed(job(status=running(), suspend=True), children=(child(ready=1, active=1),)), 20)
        assert held.actions == (SuspendJob("run-1", suspend=True),)
        assert held.status.state is State.SUSPENDED
        resumed = plan_of(observed(job(status=held.status), children=(child(suspended=True),)), 5000)
        assert resumed.actions == (SuspendJob("run-1", suspend=False),)
        assert resumed.status.state is State.STARTING, "and its pending deadline starts anew"


class TestConcurrency:
    def test_a_run_waits_for_the_active_one_and_says_where_it_stands(self) -> None:
        plan = plan_of(observed(peers=(peer("a", active=True), peer("b"), peer("c", created=at(5)))))
        assert (plan.actions, plan.status.state, plan.status.queue_position) == ((), State.QUEUED, 2)
        assert condition(plan.status, ConditionType.ADMITTED).message == "at most 1 at once with key 'bank'"

    def test_the_oldest_of_the_highest_priority_goes_first(self) -> None:
        assert plan_of(observed(peers=(peer(),))).status.state is State.QUEUED
        assert plan_of(observed(job(priority=5), peers=(peer(),))).status.state is State.STARTING
        assert plan_of(observed(peers=(peer(created=at(0), uid="uid-a"),))).status.state is State.QUEUED
        assert plan_of(observed(peers=(peer(created=at(0), uid="uid-z"),))).status.state is State.STARTING

    def test_those_that_cannot_go_hold_nobody_up(self) -> None:
        assert plan_of(observed(peers=(peer(waiting=False),))).status.state is State.STARTING

    def test_max_lets_so_many_go(self) -> None:
        two = job(concurrency={"max": 2})
        assert plan_of(observed(two, peers=(peer("a", active=True),))).status.state is State.STARTING
        assert plan_of(observed(two, peers=(peer("a", active=True), peer("b")))).status.state is State.QUEUED

    def test_one_that_was_let_go_keeps_its_turn(self) -> None:
        assert plan_of(observed(admitted=True, peers=(peer(active=True),))).actions == (CreateJob(1),)

    def test_allow_does_not_wait(self) -> None:
        plan = plan_of(observed(job(concurrency={"policy": "Allow"}), peers=(peer(active=True),)))
        assert plan.status.state is State.STARTING

    def test_forbid_fails_at_once(self) -> None:
        plan = plan_of(observed(job(concurrency={"policy": "Forbid"}), peers=(peer(active=True),)))
        assert plan.status.state is State.FAILED
        assert condition(plan.status, ConditionType.SUCCEEDED).reason == "ForbiddenByConcurrency"

    def test_replace_ends_the_active_one_and_waits_for_that(self) -> None:
        replace = job(concurrency={"policy": "Replace"})
        plan = plan_of(observed(replace, peers=(peer("a", active=True),)))
        assert plan.actions == (CancelPeer("a", "1"),)
        assert plan.status.state is State.QUEUED
        asked = plan_of(observed(replace, peers=(peer("a", active=True, cancelled=True),)))
        assert asked.actions == ()
        assert plan_of(observed(replace)).status.state is State.STARTING

    def test_the_place_far_back_is_not_rewritten_at_every_step(self) -> None:
        def place(known: int | None, ahead: int) -> int | None:
            status = OctoJobStatus(state=State.QUEUED, queue_position=known)
            peers = (peer("a", active=True), *(peer(f"p{n}") for n in range(ahead)))
            return plan_of(observed(job(status=status), peers=peers)).status.queue_position

        assert place(None, 99) == 100
        assert place(100, 80) == 100
        assert place(100, 49) == 50
        assert place(12, 8) == 9


class TestAfterEnd:
    def over(self, **more: Any) -> Any:
        return job(status=ended(0).status, **more)

    def archived(self, **more: Any) -> Any:
        return job(status=plan_of(observed(self.over(), mirrored=True), 61).status, **more)

    def test_nothing_happens_before_it_is_mirrored(self) -> None:
        seen = observed(self.over(), children=(child(active=1),))
        assert (plan_of(seen, 9**9).actions, plan_of(seen, 61).status) == ((), seen.job.status)

    def test_mirrored_it_is_archived_and_nothing_else_changes(self) -> None:
        before = self.over()
        after = plan_of(observed(before, mirrored=True), 61).status
        assert condition(after, ConditionType.ARCHIVED).status is ConditionStatus.TRUE
        rest = [c for c in after.conditions if c.type != ConditionType.ARCHIVED]
        assert rest == [c for c in before.status.conditions if c.type != ConditionType.ARCHIVED]
        assert after.model_copy(update={"conditions": ()}) == before.status.model_copy(update={"conditions": ()})

    def test_a_later_cancel_changes_nothing(self) -> None:
        seen = observed(self.archived(cancel=CANCEL), mirrored=True)
        assert plan_of(seen, 100).status == seen.job.status

    @pytest.mark.parametrize(("exit_code", "seconds"), [(0, 86_400), (30, 604_800)])
    def test_its_time_to_live_counts_from_its_end_and_only_once_archived(self, exit_code: int, seconds: int) -> None:
        status = ended(exit_code).status
        assert plan_of(observed(job(status=status)), 60 + seconds).actions == ()
        status = plan_of(observed(job(status=status), mirrored=True), 61).status
        kept = plan_of(observed(job(status=status), mirrored=True), 59 + seconds)
        assert (kept.actions, kept.requeue_after) == ((), 1)
        assert plan_of(observed(job(status=status)), 60 + seconds).actions == (DeleteOctoJob(),)

    def test_a_deleted_one_is_let_go_once_archived(self) -> None:
        assert plan_of(observed(self.archived(deleted_at=70), mirrored=True), 71).actions == (ReleaseFinalizer(),)
        assert plan_of(observed(self.archived(deleted_at=70)), 71).actions == ()

    def test_the_finalizer_fails_open_and_says_that_it_did(self) -> None:
        waits = plan_of(observed(self.over(deleted_at=70)), 669)
        assert (waits.actions, waits.requeue_after) == ((), 1)
        assert plan_of(observed(self.over(deleted_at=70)), 670).actions == (ReleaseFinalizer(unarchived=True),)

    def test_in_a_namespace_that_is_being_deleted_it_does_not_wait_that_long(self) -> None:
        early = plan_of(observed(self.over(deleted_at=70), leaving=True), 74)
        assert (early.actions, early.requeue_after) == ((), 1)
        assert plan_of(observed(self.over(deleted_at=70), leaving=True), 75).actions == (
            ReleaseFinalizer(unarchived=True),
        )

    def test_a_delete_of_a_running_one_is_a_cancel_first(self) -> None:
        seen = observed(job(status=running(), deleted_at=20), children=(child(ready=1),))
        assert plan_of(seen, 21).actions == (DeleteJob("run-1", "job-1"),)
        gone = plan_of(observed(job(status=running(), deleted_at=20), absent=True, pods=Pods()), 30)
        assert (gone.actions, gone.status.state) == ((), State.CANCELLED)
        assert condition(gone.status, ConditionType.SUCCEEDED).reason == "Deleted"

    def test_a_deleted_one_gets_no_finalizer(self) -> None:
        leaving = job(finalizers=("other",), deleted_at=1)
        assert plan_of(observed(leaving, absent=True, pods=Pods()), 2).actions == ()


def test_conditions_keep_their_transition_time_while_their_status_stays() -> None:
    later = running(seconds=50)
    assert condition(later, ConditionType.ADMITTED).last_transition_time == at(0)
    assert condition(later, ConditionType.RUNNING).last_transition_time == at(50)
