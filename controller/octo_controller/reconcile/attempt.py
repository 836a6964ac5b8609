"""One attempt: begun, followed to its end, or torn down."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from octo_controller.reconcile.draft import FALSE, HELD, TRUE, Draft
from octo_controller.reconcile.ending import classify
from octo_controller.reconcile.finish import TOO_LONG, active_deadline, cancelled, conclude, held
from octo_controller.reconcile.model import (
    CreateJob,
    DeleteJob,
    DeletePods,
    JobView,
    Look,
    Pods,
    Policy,
    SuspendJob,
)
from octo_controller.reconcile.pending import PENDING, awaited, why_pending
from octo_controller.reconcile.verdict import Verdict
from octo_core.domain.causes import ACTIVE_DEADLINE, DEADLINE, PENDING_DEADLINE
from octo_core.domain.failure import Category
from octo_core.domain.job import CancelMode
from octo_core.domain.names import child_name
from octo_core.domain.run import ResolvedOptions
from octo_core.domain.states import WAITING_FOR_QUEUE
from octo_core.domain.status import Attempt, ConditionType, JobRef

DIAGNOSE_AFTER_SECONDS = 10.0
"""A pod that does not run by then is looked at: most start sooner, and a look costs a list of pods."""
DIAGNOSE_EVERY_SECONDS = 30.0
LEFTOVER_SECONDS = 2.0


def begin(
    draft: Draft, number: int, child: JobView | None, options: ResolvedOptions, *, create: bool = True
) -> Attempt:
    """Write down an attempt that starts. Without a ``child`` its Job is made first, and whoever makes it
    fills in the Job's uid."""
    attempt = Attempt(number=number, job_uid=child.uid if child else None)
    draft.record(attempt)
    draft.change(
        attempt=number,
        job_ref=JobRef(name=child.name, uid=child.uid) if child else None,
        next_attempt_time=None,
        queue_position=None,
    )
    if child is None and create:
        draft.actions.append(CreateJob(number))
    draft.say(ConditionType.ACCEPTED, TRUE, "Accepted")
    if options.queue_name is not None:
        _queued(draft, options.queue_name)
        return attempt
    draft.say(ConditionType.ADMITTED, TRUE, "Admitted")
    draft.say(ConditionType.RUNNING, FALSE, PENDING)
    draft.say(ConditionType.STALLED, FALSE, "Progressing")
    draft.progressing("Starting")
    return attempt


def _queued(draft: Draft, queue: str) -> None:
    """The attempt's Job waits in a queue of Kueue: it has not begun, or was evicted, which is no failure."""
    draft.say(ConditionType.ADMITTED, FALSE, WAITING_FOR_QUEUE, f"in Kueue's queue {queue!r}")
    draft.say(ConditionType.RUNNING, FALSE, "QueueSuspended")
    draft.say(ConditionType.SUSPENDED, FALSE, "NotSuspended")
    draft.say(ConditionType.STALLED, FALSE, "Progressing")
    draft.progressing(WAITING_FOR_QUEUE, f"in Kueue's queue {queue!r}")


def follow(
    draft: Draft, attempt: Attempt, child: JobView | None, options: ResolvedOptions, policy: Policy
) -> Look | None:
    """An attempt whose end nobody asked for."""
    seen = draft.seen
    if child is None:
        return _vanished(draft, attempt, options, policy)
    if child.finished:
        if seen.pods is None:
            return Look(pods=child.name)
        verdict = classify(child, seen.pods, asked=False)
        if verdict.reason == DEADLINE and options.active_deadline_seconds <= options.attempt_deadline_seconds:
            # The Job's own deadline is the shorter of the two.
            verdict = replace(verdict, reason=ACTIVE_DEADLINE, message=TOO_LONG)
        conclude(draft, attempt.number, verdict, options, started=child.started)
        return None
    if child.deletion is not None:
        return await_gone(draft, child, child.deletion, options, policy, force=False)
    if attempt.category is not None:
        draft.actions.append(DeleteJob(child.name, child.uid))
        return None
    if seen.job.spec.suspend:
        _suspend(draft, attempt, child)
        return None
    if child.suspended and child.queue:
        _queued(draft, child.queue)
        return None
    if child.suspended:
        draft.actions.append(SuspendJob(child.name, suspend=False))
    deadline = active_deadline(draft, options)
    if deadline is not None:
        if draft.now >= deadline:
            verdict = Verdict(Category.TIMEOUT, ACTIVE_DEADLINE, TOO_LONG)
            _give_up(draft, attempt, child, verdict)
            return None
        draft.look_again((deadline - draft.now).total_seconds())
    since = _pending_since(draft, child)
    draft.say(ConditionType.ADMITTED, TRUE, "Admitted")
    draft.say(ConditionType.SUSPENDED, FALSE, "NotSuspended")
    if child.ready > 0:
        _running(draft, attempt, child, policy)
        return None
    return _pending(draft, attempt, child, since, options)


def teardown(
    draft: Draft, attempt: Attempt, child: JobView | None, options: ResolvedOptions, policy: Policy
) -> Look | None:
    """An attempt whose run is to end: by its own outcome if it was faster, else once nothing of it is left."""
    seen = draft.seen
    cancel = seen.job.spec.cancel
    force = cancel is not None and cancel.mode is CancelMode.FORCE
    draft.progressing("Cancelling")
    if child is None:
        look = _look_for_rest(draft, attempt)
        if look is not None:
            return look
        if not clear_pods(draft, policy, force=force):
            cancelled(draft, attempt)
        return None
    if child.complete or (child.failed and child.deletion is None):
        if seen.pods is None:
            return Look(pods=child.name)
        verdict = classify(child, seen.pods, asked=True)
        if verdict.category is Category.CANCELLED:
            cancelled(draft, attempt, verdict)
        else:
            conclude(draft, attempt.number, verdict, options, started=child.started, final=True)
        return None
    if child.deletion is None:
        draft.actions.append(DeleteJob(child.name, child.uid))
    return await_gone(draft, child, child.deletion or draft.now, options, policy, force=force)


def _suspend(draft: Draft, attempt: Attempt, child: JobView) -> None:
    """Hold an attempt: its Job keeps, without pods. One that Kueue holds or lets go is ended instead, and makes room
    in its queue: two that change ``spec.suspend`` would fight."""
    draft.say(ConditionType.SUSPENDED, TRUE, "UserSuspended")
    draft.say(ConditionType.RUNNING, FALSE, "Suspended")
    draft.progressing("UserSuspended")
    if child.queue:
        _give_up(draft, attempt, child, Verdict(Category.CANCELLED, HELD, "the run was suspended"))
    elif not child.suspended:
        draft.actions.append(SuspendJob(child.name, suspend=True))


def _give_up(draft: Draft, attempt: Attempt, child: JobView, verdict: Verdict) -> None:
    """End an attempt. The verdict is written down before its Job has gone, so that a restart does not take it for
    lost; the attempt is over only then."""
    draft.record(
        attempt.model_copy(
            update={
                "category": verdict.category,
                "reason": verdict.reason,
                "message": verdict.message[:500],
                "pod_name": verdict.pod_name or attempt.pod_name,
            }
        )
    )
    draft.actions.append(DeleteJob(child.name, child.uid))


def _running(draft: Draft, attempt: Attempt, child: JobView, policy: Policy) -> None:
    status, now = draft.seen.job.status, draft.now
    started = attempt.start_time or child.started or now
    draft.record(attempt.model_copy(update={"start_time": started}))
    draft.change(start_time=status.start_time or started)
    draft.say(ConditionType.RUNNING, TRUE, "PodRunning")
    draft.progressing("Running")
    provider, progress = draft.seen.provider, status.progress
    reported = progress.updated_at if progress else None
    if provider is not None and provider.spec.container is not None and (reported is None or reported < started):
        # A user's own main logic need not report at all.
        return
    silent_at = max(reported or started, started) + timedelta(seconds=policy.stalled_after_seconds)
    if now >= silent_at:
        draft.say(ConditionType.STALLED, TRUE, "NoHeartbeat", f"no progress for {policy.stalled_after_seconds} s")
    else:
        draft.say(ConditionType.STALLED, FALSE, "Progressing")
        draft.look_again((silent_at - now).total_seconds())


def _pending(draft: Draft, attempt: Attempt, child: JobView, since: datetime, options: ResolvedOptions) -> Look | None:
    """No container runs: not yet, just no more, or not again after a disruption. Of several workers, the last
    that ran has ended and others have not begun: as long as one runs, the others may wait for its place."""
    seen, now = draft.seen, draft.now
    if attempt.start_time is not None:
        if seen.pods is None and not child.settled:
            return _diagnose(draft, child)
        if seen.pods is None or any(pod.running for pod in seen.pods.items) or not awaited(child, seen.pods):
            draft.look_again(DIAGNOSE_EVERY_SECONDS)
            return None
    deadline = since + timedelta(seconds=options.pending_deadline_seconds)
    diagnose_at = min(since + timedelta(seconds=DIAGNOSE_AFTER_SECONDS), deadline)
    if now < diagnose_at:
        draft.say(ConditionType.RUNNING, FALSE, PENDING, steady=True)
        draft.progressing("Starting")
        draft.look_again((diagnose_at - now).total_seconds())
        return None
    if seen.pods is None:
        return _diagnose(draft, child, now=now >= deadline)
    why = why_pending(child, seen.pods)
    draft.say(ConditionType.RUNNING, FALSE, why.reason, why.message, steady=True)
    draft.progressing(why.reason, why.message, steady=True)
    if now < deadline:
        draft.look_again(min(DIAGNOSE_EVERY_SECONDS, (deadline - now).total_seconds()))
        return None
    message = f"{why.reason}: {why.message}"
    _give_up(draft, attempt, child, replace(why, reason=PENDING_DEADLINE, message=message))
    return None


def _diagnose(draft: Draft, child: JobView, *, now: bool = False) -> Look | None:
    """A look at what keeps an attempt from running. While it has to wait for its turn, what is known stays."""
    if draft.seen.look_in and not now:
        draft.look_again(draft.seen.look_in)
        return None
    return Look(pods=child.name, warnings=True, may_wait=not now)


def _pending_since(draft: Draft, child: JobView) -> datetime:
    """When this wait for a pod began: with the Job, or with the last pod's end, or when it was let go on."""
    if not draft.seen.job.status.conditions:
        return child.created
    return max(
        child.created,
        draft.since(ConditionType.RUNNING, FALSE),
        draft.since(ConditionType.SUSPENDED, FALSE),
        draft.since(ConditionType.ADMITTED, TRUE),
    )


def _vanished(draft: Draft, attempt: Attempt, options: ResolvedOptions, policy: Policy) -> Look | None:
    """The Job that was written down is not there any more, by our doing or another's."""
    look = _look_for_rest(draft, attempt)
    if look is not None:
        return look
    if clear_pods(draft, policy, force=False):
        return None
    if attempt.reason == HELD:
        held(draft, attempt.number)
        return None
    if attempt.category is not None:
        verdict = Verdict(attempt.category, attempt.reason or "Error", attempt.message or "", pod_name=attempt.pod_name)
    else:
        verdict = Verdict(Category.INFRA, "JobLost", "the Job was deleted before it ended")
    conclude(draft, attempt.number, verdict, options, final=verdict.reason == ACTIVE_DEADLINE)
    return None


def _look_for_rest(draft: Draft, attempt: Attempt) -> Look | None:
    name = child_name(draft.seen.job.meta.name, attempt.number)
    if not draft.seen.absent:
        return Look(job=name, uid=attempt.job_uid)
    return Look(pods=name, uid=attempt.job_uid) if draft.seen.pods is None else None


def clear_pods(draft: Draft, policy: Policy, *, force: bool) -> bool:
    """Delete the pods that outlived their Job; False if there are none."""
    pods = (draft.seen.pods or Pods()).live
    margin = timedelta(seconds=policy.cancel_force_after_seconds)
    fresh = tuple((pod.name, pod.uid) for pod in pods if pod.deletion is None and not force)
    overdue = tuple(
        (pod.name, pod.uid)
        for pod in pods
        if force or (pod.deletion is not None and draft.now >= pod.deletion + margin)
    )
    if fresh:
        draft.actions.append(DeletePods(fresh, force=False))
    if overdue:
        draft.actions.append(DeletePods(overdue, force=True))
    if pods:
        draft.look_again(LEFTOVER_SECONDS)
    return bool(pods)


def await_gone(
    draft: Draft, child: JobView, asked: datetime, options: ResolvedOptions, policy: Policy, *, force: bool
) -> Look | None:
    """The Job is being deleted: its pods have their grace and a margin, then they are deleted by force."""
    grace = options.termination_grace_period_seconds if child.grace is None else child.grace
    due = asked + timedelta(seconds=grace + policy.cancel_force_after_seconds)
    if not force and draft.now < due:
        draft.look_again((due - draft.now).total_seconds())
        return None
    if draft.seen.pods is None:
        return Look(pods=child.name)
    live = draft.seen.pods.live
    if live:
        draft.actions.append(DeletePods(tuple((pod.name, pod.uid) for pod in live), force=True))
    draft.look_again(LEFTOVER_SECONDS)
    return None
