"""Deadlines, waits between attempts, the queue of Kueue, and places in the namespace."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octo_controller.reconcile.finish import backoff
from octo_controller.reconcile.manifest import PodSettings, child_job
from octo_controller.reconcile.model import CreateJob, DeleteJob, Pods
from octo_core.domain.failure import Category
from octo_core.domain.job import RetryPolicy
from octo_core.domain.status import ConditionStatus, ConditionType, OctoJobStatus, State
from tests.unit.octo_controller.builders import (
    CANCEL,
    at,
    child,
    condition,
    job,
    line_of,
    look_of,
    observed,
    peer,
    plan_of,
    pod,
    provider,
    running,
    started,
)

QUEUED: dict[str, Any] = {"queueName": "night"}


def in_queue(attempt: int = 1, **more: Any) -> Any:
    return child(attempt, **{"queue": "night", "suspended": True, **more})


class TestBackoff:
    @settings(max_examples=100, deadline=None)
    @given(st.uuids(), st.integers(1, 20), st.integers(0, 3600), st.integers(1, 10), st.integers(0, 86_400))
    def test_it_grows_up_to_its_cap_and_is_at_most_a_fifth_shorter(
        self, uid: Any, failures: int, first: int, factor: int, cap: int
    ) -> None:
        policy = RetryPolicy(backoff_seconds=first, backoff_factor=factor, max_backoff_seconds=cap)
        full = min(first * factor ** (failures - 1), cap)
        wait = backoff(policy, str(uid), failures).total_seconds()
        assert round(full * 0.8) <= wait <= full
        assert backoff(policy, str(uid), failures).total_seconds() == wait

    def test_runs_that_failed_together_do_not_come_back_together(self) -> None:
        waits = {backoff(RetryPolicy(backoff_seconds=1000), f"uid-{n}", 1) for n in range(100)}
        assert len(waits) > 50

    def test_a_category_outside_of_retry_on_is_final_and_one_inside_is_not(self) -> None:
        over, pods = child(failed=True, started=at(1)), Pods((pod(exit_code=30),))
        for chosen, state in ((["Auth"], State.RETRYING), (["Infra"], State.FAILED)):
            spec: dict[str, Any] = {"retryPolicy": {"retryOn": chosen}}
            plan = plan_of(observed(job(status=running(**spec), **spec), children=(over,), pods=pods), 60)
            assert plan.status.state is state


class TestActiveDeadline:
    """``activeDeadlineSeconds`` is for the run with all its attempts, ``attemptDeadlineSeconds`` for each."""

    SPEC: ClassVar[dict[str, Any]] = {"activeDeadlineSeconds": 100, "retryPolicy": {"backoffSeconds": 10}}

    def test_an_attempt_under_way_is_ended_and_the_run_has_failed_for_good(self) -> None:
        seen = observed(job(status=running(**self.SPEC), **self.SPEC), children=(child(ready=1, started=at(1)),))
        before = plan_of(seen, 100)
        assert (before.actions, before.requeue_after) == ((), 1)
        due = plan_of(seen, 101)
        assert due.actions == (DeleteJob("run-1", "job-1"),)
        assert due.status.state is State.RUNNING, "not over while its pod may run"
        again = plan_of(observed(job(status=due.status, **self.SPEC), children=(child(ready=1),)), 102)
        assert again.actions == (DeleteJob("run-1", "job-1"),), "also after a restart"
        gone = plan_of(observed(job(status=due.status, **self.SPEC), absent=True, pods=Pods()), 110)
        assert gone.status.state is State.FAILED
        assert gone.status.failure is not None
        assert (gone.status.failure.category, gone.status.failure.reason) == (
            Category.TIMEOUT,
            "ActiveDeadlineExceeded",
        )

    def test_no_attempt_begins_that_would_be_too_late(self) -> None:
        over, pods = (child(failed=True, started=at(1)),), Pods((pod(exit_code=20),))
        early = plan_of(observed(job(status=running(**self.SPEC), **self.SPEC), children=over, pods=pods), 60)
        assert early.status.state is State.RETRYING
        late = plan_of(observed(job(status=running(**self.SPEC), **self.SPEC), children=over, pods=pods), 95)
        assert late.status.state is State.FAILED
        assert late.status.failure is not None
        assert late.status.failure.category is Category.REMOTE_UNAVAILABLE, "what it failed of, not what it lacked"
        # The controller was away for the whole of the wait.
        missed = plan_of(observed(job(status=early.status, **self.SPEC), children=over), 500)
        assert missed.status.state is State.FAILED
        assert missed.status.failure is not None
        assert missed.status.failure.reason == "ActiveDeadlineExceeded"

    @pytest.mark.parametrize(("attempt", "reason"), [(100, "ActiveDeadlineExceeded"), (50, "DeadlineExceeded")])
    def test_it_is_named_also_where_kubernetes_was_faster(self, attempt: int, reason: str) -> None:
        """The Job has the shorter of the two as its own deadline."""
        spec = {**self.SPEC, "attemptDeadlineSeconds": attempt, "retryPolicy": {"maxAttempts": 1}}
        over = child(failed=True, failed_reason="DeadlineExceeded", started=at(1))
        seen = observed(job(status=running(**spec), **spec), children=(over,), pods=Pods())
        failure = plan_of(seen, attempt + 1).status.failure
        assert failure is not None
        assert (failure.category, failure.reason) == (Category.TIMEOUT, reason)

    def test_time_on_hold_does_not_count(self) -> None:
        spec = {**self.SPEC, "suspend": True}
        held = plan_of(observed(job(status=running(**self.SPEC), **spec), children=(child(ready=1),)), 50).status
        kept = observed(job(status=held, **spec), children=(child(suspended=True),))
        assert plan_of(kept, 5000).status.state is State.SUSPENDED
        resumed = plan_of(observed(job(status=held, **self.SPEC), children=(child(suspended=True),)), 5000).status
        goes_on = observed(job(status=resumed, **self.SPEC), children=(child(ready=1),))
        assert plan_of(goes_on, 5099).actions == ()
        assert plan_of(goes_on, 5100).actions == (DeleteJob("run-1", "job-1"),)


FOR_EVER = 2**63 - 1


@pytest.mark.parametrize("field", ["pendingDeadlineSeconds", "activeDeadlineSeconds", "attemptDeadlineSeconds"])
@pytest.mark.parametrize("ready", [0, 1])
def test_a_deadline_beyond_all_calendars_is_none(field: str, ready: int) -> None:
    spec: dict[str, Any] = {field: FOR_EVER}
    mine = job(status=running(**spec) if ready else started(**spec), **spec)
    plan = plan_of(observed(mine, children=(child(ready=ready, started=at(1)),)), 9)
    assert not plan.status.state or not plan.status.state.terminal
    attempt = child_job(mine, provider(), 1, PodSettings(image="w"))["spec"]["activeDeadlineSeconds"]
    assert attempt * 10**9 < 2**63, "Kubernetes counts it in nanoseconds"


@pytest.mark.parametrize("exit_code", [0, 40])
def test_nor_is_there_an_end_to_such_a_time_to_live(exit_code: int) -> None:
    spec: dict[str, Any] = {"ttl": {"afterSuccessSeconds": FOR_EVER, "afterFailureSeconds": FOR_EVER}}
    over, pods = child(complete=not exit_code, failed=bool(exit_code)), Pods((pod(exit_code=exit_code),))
    ended = plan_of(observed(job(status=running()), children=(over,), pods=pods), 60).status
    assert ended.state is not None
    assert ended.state.terminal
    plan = plan_of(observed(job(status=ended, **spec), mirrored=True), 90_000)
    assert (plan.actions, condition(plan.status, ConditionType.ARCHIVED).status) == ((), ConditionStatus.TRUE)


def test_a_container_that_says_it_was_suspended_has_failed() -> None:
    """Attempts that Octo ended because the run was held do not count; others may not pass for one."""
    spec: dict[str, Any] = {"retryPolicy": {"maxAttempts": 1}}
    said = pod(exit_code=1, message='{"category": "Unknown", "reason": "Suspended"}')
    over = child(failed=True, started=at(1))
    plan = plan_of(observed(job(status=running(**spec), **spec), children=(over,), pods=Pods((said,))), 9)
    assert plan.status.state is State.FAILED


class TestKueue:
    """``queueName``: Kueue alone changes ``spec.suspend`` of such a Job."""

    def waiting(self) -> OctoJobStatus:
        return plan_of(observed(job(status=started(**QUEUED), **QUEUED), children=(in_queue(),)), 500).status

    def test_until_kueue_lets_it_go_it_is_queued_and_left_alone(self) -> None:
        first = plan_of(observed(job(**QUEUED)))
        assert (first.actions, first.status.state) == ((CreateJob(1),), State.QUEUED)
        plan = plan_of(observed(job(status=started(**QUEUED), **QUEUED), children=(in_queue(),)), 90_000)
        assert (plan.actions, plan.status.state) == ((), State.QUEUED)
        admitted = condition(plan.status, ConditionType.ADMITTED)
        assert (admitted.status, admitted.reason) == (ConditionStatus.FALSE, "WaitingForQueue")
        assert "'night'" in admitted.message

    def test_let_go_it_starts_and_its_pending_deadline_begins_then(self) -> None:
        let_go = observed(job(status=self.waiting(), **QUEUED), children=(in_queue(suspended=False, active=1),))
        plan = plan_of(let_go, 5000)
        assert (plan.actions, plan.status.state) == ((), State.STARTING)
        late = observed(job(status=plan.status, **QUEUED), children=let_go.children, pods=Pods((pod(),)))
        assert plan_of(late, 5899).actions == ()
        assert plan_of(late, 5900).actions == (DeleteJob("run-1", "job-1"),)

    def test_evicted_it_is_queued_again_and_no_attempt_has_failed(self) -> None:
        spec = {**QUEUED, "retryPolicy": {"maxAttempts": 1}, "activeDeadlineSeconds": 100}
        runs = observed(job(status=self.waiting(), **spec), children=(in_queue(suspended=False, ready=1),))
        status = plan_of(runs, 600).status
        assert status.state is State.RUNNING
        evicted = plan_of(observed(job(status=status, **spec), children=(in_queue(),)), 650)
        assert (evicted.actions, evicted.status.state) == ((), State.QUEUED)
        assert condition(evicted.status, ConditionType.RUNNING).status is ConditionStatus.FALSE
        assert (evicted.status.attempt, evicted.status.attempts[0].category) == (1, None)
        still = observed(job(status=evicted.status, **spec), children=(in_queue(),))
        assert plan_of(still, 9000).status.state is State.QUEUED, "time in the queue is not the run's"
        back = observed(job(status=evicted.status, **spec), children=(in_queue(suspended=False, ready=1),))
        again = plan_of(back, 9000)
        assert (again.actions, again.status.state) == ((), State.RUNNING)
        over = in_queue(suspended=False, complete=True)
        done = observed(job(status=again.status, **spec), children=(over,), pods=Pods((pod(exit_code=0),)))
        assert plan_of(done, 9050).status.state is State.SUCCEEDED

    @pytest.mark.parametrize("suspended", [True, False])
    def test_held_by_its_user_it_leaves_the_queue_and_comes_back_with_another_attempt(self, suspended: bool) -> None:
        spec = {**QUEUED, "suspend": True}
        seen = observed(job(status=self.waiting(), **spec), children=(in_queue(suspended=suspended),))
        held = plan_of(seen, 600)
        assert held.actions == (DeleteJob("run-1", "job-1"),), "never SuspendJob, which is Kueue's"
        assert held.status.state is State.SUSPENDED
        gone = plan_of(observed(job(status=held.status, **spec), absent=True, pods=Pods()), 610).status
        assert (gone.state, gone.attempts[0].reason) == (State.SUSPENDED, "Suspended")
        assert gone.attempts[0].completion_time == at(610)
        at_rest = plan_of(observed(job(status=gone, **spec)), 700)
        assert (at_rest.actions, at_rest.status.state) == ((), State.SUSPENDED)
        resumed = plan_of(observed(job(status=gone, **QUEUED)), 800)
        assert (resumed.actions, resumed.status.state) == ((CreateJob(2),), State.QUEUED)

    def test_an_attempt_that_ended_by_a_hold_is_not_one_of_those_that_failed(self) -> None:
        retry = {"maxAttempts": 2, "backoffSeconds": 10}
        spec = {**QUEUED, "retryPolicy": retry}
        held = observed(job(status=self.waiting(), **spec, suspend=True), children=(in_queue(),))
        gone = plan_of(observed(job(status=plan_of(held).status, **spec), absent=True, pods=Pods()), 610).status
        second = plan_of(observed(job(status=gone, **spec), children=(in_queue(2, ready=1, suspended=False),)), 620)
        failed = in_queue(2, failed=True, suspended=False)
        seen = observed(job(status=second.status, **spec), children=(failed,), pods=Pods((pod(exit_code=20),)))
        assert plan_of(seen, 630).status.state is State.RETRYING

    def test_a_cancel_ends_it_in_the_queue_too(self) -> None:
        plan = plan_of(observed(job(status=self.waiting(), cancel=CANCEL, **QUEUED), children=(in_queue(),)), 600)
        assert (plan.actions, plan.status.state) == ((DeleteJob("run-1", "job-1"),), State.CANCELLING)

    def test_a_vanished_job_in_the_queue_is_looked_for_like_any_other(self) -> None:
        assert look_of(observed(job(status=self.waiting(), **QUEUED)), 600).job == "run-1"


class TestNamespace:
    """As many active runs as the namespace may have, whatever their keys."""

    def seen(self, *others: Any, in_hall: tuple[str, ...] = (), **spec: Any) -> Any:
        mine = job(**spec)
        return observed(mine, line=line_of(mine, *others, capacity=1, in_hall=in_hall))

    def test_a_run_waits_for_a_place_although_its_key_is_free(self) -> None:
        plan = plan_of(self.seen(peer("a", key="else", active=True)))
        assert (plan.actions, plan.status.state, plan.status.queue_position) == ((), State.QUEUED, 1)
        assert condition(plan.status, ConditionType.ADMITTED).reason == "WaitingForCapacity"

    @pytest.mark.parametrize("policy", ["Allow", "Enqueue", "Forbid", "Replace"])
    def test_whatever_its_policy(self, policy: str) -> None:
        seen = self.seen(peer("a", key="else", active=True), concurrency={"policy": policy})
        plan = plan_of(seen)
        assert (plan.actions, plan.status.state) == ((), State.QUEUED)

    def test_one_that_waits_longer_goes_first_and_one_of_higher_priority_before_it(self) -> None:
        older = peer("a", key="else", created=at(-10))
        assert plan_of(self.seen(older, in_hall=("a",))).status.state is State.QUEUED
        assert plan_of(self.seen(older, in_hall=("a",), priority=1)).status.state is State.STARTING
