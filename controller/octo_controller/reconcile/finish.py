"""How an attempt, and with it perhaps the run, comes to its end in the status."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from octo_controller.reconcile.draft import FALSE, HELD, TRUE, Draft
from octo_controller.reconcile.model import REPLACED_BY
from octo_controller.reconcile.verdict import Verdict
from octo_core.domain.causes import resolution_of
from octo_core.domain.failure import RETRYABLE_BY_DEFAULT, Category
from octo_core.domain.job import RetryPolicy
from octo_core.domain.run import ResolvedOptions
from octo_core.domain.states import BACKING_OFF
from octo_core.domain.status import Attempt, ConditionType, Failure

JITTER = 0.2
TOO_LONG = "the run took longer than activeDeadlineSeconds"


def conclude(
    draft: Draft,
    number: int,
    verdict: Verdict,
    options: ResolvedOptions,
    *,
    started: datetime | None = None,
    final: bool = False,
) -> None:
    """An attempt is over: the run succeeds, goes on to a retry, or fails. ``final`` rules out a retry."""
    _close(draft, number, verdict, started=started)
    if verdict.category is None:
        _finish(draft, succeeded=True, reason=verdict.reason, message=verdict.message)
        return
    policy, failures = options.retry_policy, draft.failures()
    due = draft.now + backoff(policy, draft.seen.job.meta.uid, failures)
    deadline = active_deadline(draft, options)
    in_time = deadline is None or due < deadline
    if not final and in_time and verdict.category in policy.retry_on and failures < policy.max_attempts:
        draft.change(next_attempt_time=due)
        draft.progressing(verdict.reason, f"attempt {number} failed: {verdict.message or verdict.reason}")
        back_off(draft, number + 1, due)
        return
    fail(draft, verdict)


def back_off(draft: Draft, number: int, due: datetime) -> None:
    """The run waits for its next attempt."""
    draft.say(ConditionType.RUNNING, FALSE, BACKING_OFF, f"attempt {number} not before {due.isoformat()}")
    draft.say(ConditionType.STALLED, FALSE, "Progressing")
    draft.look_again((due - draft.now).total_seconds())


def backoff(policy: RetryPolicy, uid: str, failures: int) -> timedelta:
    """How long a run waits after so many failures: up to a fifth shorter than its policy says, by its uid, so that
    runs which failed together do not come back together. The same at each decision."""
    seconds = min(policy.backoff_seconds * policy.backoff_factor ** (failures - 1), policy.max_backoff_seconds)
    share = int.from_bytes(hashlib.sha256(f"{uid}/{failures}".encode()).digest()[:4]) / 2**32
    return timedelta(seconds=round(seconds * (1 - JITTER * share)))


def active_deadline(draft: Draft, options: ResolvedOptions) -> datetime | None:
    """When the run has had its time, all attempts together; None while it has not begun, or is held or queued. The time
    runs anew when it is let go on, as that of a Kubernetes Job does.

    None also while the provider, which may have said how long that is, is not there: an attempt under way has the
    deadline of its Job, and the next one does not begin.
    """
    status = draft.seen.job.status
    if draft.seen.provider is None and draft.seen.job.spec.active_deadline_seconds is None:
        return None
    held, admitted = status.condition(ConditionType.SUSPENDED), status.condition(ConditionType.ADMITTED)
    if status.start_time is None or held is None or admitted is None:
        return None
    if held.status is not FALSE or admitted.status is not TRUE:
        return None
    since = max(status.start_time, held.last_transition_time, admitted.last_transition_time)
    return since + timedelta(seconds=options.active_deadline_seconds)


def held(draft: Draft, number: int) -> None:
    """An attempt was ended because the run is held; the next one begins when it is resumed."""
    _close(draft, number, Verdict(Category.CANCELLED, HELD, "the run was suspended"))
    draft.change(next_attempt_time=None, job_ref=None)
    draft.look_again(1)


def fail(draft: Draft, verdict: Verdict) -> None:
    """The run has failed for good."""
    category = verdict.category or Category.UNKNOWN
    draft.change(
        failure=Failure(
            category=category,
            reason=verdict.reason,
            message=verdict.message,
            resolution=resolution_of(category, verdict.reason, verdict.message),
            retryable=category in RETRYABLE_BY_DEFAULT,
            exit_code=verdict.exit_code,
        )
    )
    _finish(draft, succeeded=False, reason=verdict.reason, message=verdict.message)


def cancelled(draft: Draft, attempt: Attempt | None = None, verdict: Verdict | None = None) -> None:
    """The run was ended on request, and nothing of it is left."""
    cancel = draft.seen.job.spec.cancel
    if cancel is None:
        reason, message = "Deleted", "the OctoJob was deleted"
    elif cancel.requested_by == REPLACED_BY:
        reason, message = "Replaced", cancel.reason or "a newer run took its place"
    else:
        reason = "Cancelled"
        message = cancel.reason or (f"cancelled by {cancel.requested_by}" if cancel.requested_by else "cancelled")
    if attempt is not None:
        said = verdict or Verdict(Category.CANCELLED, reason, message)
        _close(draft, attempt.number, said)
    _finish(draft, succeeded=False, reason=reason, message=message)


def _close(draft: Draft, number: int, verdict: Verdict, *, started: datetime | None = None) -> None:
    known = draft.attempt(number) or Attempt(number=number)
    start = known.start_time or started
    draft.record(
        known.model_copy(
            update={
                "pod_name": verdict.pod_name or known.pod_name,
                "start_time": start,
                "completion_time": draft.now,
                "exit_code": verdict.exit_code,
                "category": verdict.category,
                "reason": verdict.reason,
                "message": verdict.message or None,
            }
        )
    )
    if draft.seen.job.status.start_time is None and start is not None:
        draft.change(start_time=start)
    if verdict.progress is not None and not (verdict.partial and _reported_since(draft, start)):
        draft.change(progress=verdict.progress)
    if verdict.manifest is not None:
        draft.change(manifest_ref=verdict.manifest)


def _reported_since(draft: Draft, start: datetime | None) -> bool:
    """Whether the attempt's workers reported on the way, those included that left no word at their end."""
    progress = draft.seen.job.status.progress
    at = progress.updated_at if progress else None
    return at is not None and start is not None and at >= start


def _finish(draft: Draft, *, succeeded: bool, reason: str, message: str) -> None:
    draft.say(ConditionType.SUCCEEDED, TRUE if succeeded else FALSE, reason, message)
    draft.say(ConditionType.FINISHED, TRUE, reason)
    draft.say(ConditionType.RUNNING, FALSE, "Finished")
    draft.say(ConditionType.SUSPENDED, FALSE, "NotSuspended")
    draft.say(ConditionType.STALLED, FALSE, "Finished")
    draft.change(completion_time=draft.now, next_attempt_time=None, queue_position=None)
    draft.requeue_after = None
