"""The decision about one OctoJob: pure, total, and with nothing left to do once it is done.

``decide`` goes from the most final to the most tentative: a run that is over, one whose end is asked
for, one with an attempt under way, one between attempts, one that has not begun.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from octo_controller.reconcile.admission import Crowded, Forbidden, Waits, admit
from octo_controller.reconcile.attempt import await_gone, begin, clear_pods, follow, teardown
from octo_controller.reconcile.draft import FALSE, TRUE, UNKNOWN, Draft
from octo_controller.reconcile.finish import TOO_LONG, active_deadline, back_off, backoff, cancelled, conclude, fail
from octo_controller.reconcile.model import (
    AddFinalizer,
    DeleteJob,
    DeleteOctoJob,
    JobView,
    Look,
    Observed,
    Plan,
    Policy,
    Refusal,
    ReleaseFinalizer,
    Writing,
)
from octo_controller.reconcile.verdict import Verdict
from octo_core.domain.causes import ACTIVE_DEADLINE
from octo_core.domain.failure import Category
from octo_core.domain.job import CancelMode
from octo_core.domain.names import ARCHIVE_FINALIZER, child_name
from octo_core.domain.run import ResolvedOptions, resolve_options
from octo_core.domain.states import WAITING_FOR_CAPACITY, WAITING_FOR_CONCURRENCY
from octo_core.domain.status import Condition, ConditionType, OctoJobStatus, State

POSITION_REFRESH_SECONDS = 60.0
EXACT_POSITIONS = 10
CLOCKS_DIFFER = timedelta(seconds=60)
"""By how much the API server's clock and ours may."""
BRIEF_SECONDS = 3.0
"""A pod that runs by then is written down as running only."""


_NOT_RUNNING_YET = (None, State.PENDING, State.STARTING)


def decide(seen: Observed, *, now: datetime, policy: Policy) -> Plan | Look:
    """What to do about an OctoJob, or what must be looked up before that can be said."""
    now = now.replace(microsecond=0)
    status = seen.job.status
    if status.state is not None and status.state.terminal:
        return _after_end(seen, now, policy)

    draft = Draft(seen, now)
    options = resolve_options(seen.job.spec, seen.provider.spec if seen.provider else None)
    meta = seen.job.meta
    ending = seen.job.spec.cancel is not None or meta.deletion_timestamp is not None
    if meta.deletion_timestamp is None and ARCHIVE_FINALIZER not in meta.finalizers:
        draft.actions.append(AddFinalizer())

    last = status.attempts[-1] if status.attempts else None
    if last is None or last.completion_time is not None:
        # The Job of the next attempt may be there already: made, then the controller died before it said so.
        unrecorded = _unrecorded(seen, (last.number if last else 0) + 1)
        if unrecorded is not None:
            last = begin(draft, unrecorded.attempt, unrecorded, options)

    look: Look | None = None
    if last is not None and last.completion_time is None:
        child = next((job for job in _own(seen) if job.uid == last.job_uid), None)
        step = teardown if ending else follow
        look = step(draft, last, child, options, policy)
    elif ending:
        look = _call_off(draft, (last.number if last else 0) + 1, options, policy)
    elif last is not None:
        look = _retry(draft, last.number + 1, options, policy)
    else:
        look = _start(draft, options, policy)
    return look or _paced(draft.plan(ending=ending), seen, now)


def _call_off(draft: Draft, number: int, options: ResolvedOptions, policy: Policy) -> Look | None:
    """End a run that has no attempt under way: once it is certain that nothing of one runs which is not written down.
    The answer to the creation of its Job may be lost, no watch tell of it yet, or the Job gone before its pods."""
    seen, cancel = draft.seen, draft.seen.job.spec.cancel
    force = cancel is not None and cancel.mode is CancelMode.FORCE
    draft.progressing("Cancelling")
    for job in _own(seen):
        if not job.finished:
            if job.deletion is None:
                draft.actions.append(DeleteJob(job.name, job.uid))
            return await_gone(draft, job, job.deletion or draft.now, options, policy, force=force)
    name = child_name(seen.job.meta.name, number)
    if not seen.absent:
        return Look(job=name, owner=seen.job.meta.uid)
    if seen.pods is None:
        return Look(pods=name)
    if not clear_pods(draft, policy, force=force):
        cancelled(draft)
    return None


def _own(seen: Observed) -> tuple[JobView, ...]:
    return tuple(job for job in seen.children if job.owner_uid == seen.job.meta.uid)


def _unrecorded(seen: Observed, attempt: int) -> JobView | None:
    """The Job of an attempt that is not written down, also one that is gone already: it is not made again."""
    newest = (seen.newest,) if seen.newest is not None and seen.newest.owner_uid == seen.job.meta.uid else ()
    return next((job for job in (*_own(seen), *newest) if job.attempt == attempt), None)


def _paced(plan: Plan, seen: Observed, now: datetime) -> Plan:
    """That an attempt begins is not written at once: most pods run within moments, and then one write says both. That
    they run is, unless very many do so at the same time."""
    known, status = seen.job.status, plan.status
    if status.state is State.RUNNING and not plan.actions and known.state in _NOT_RUNNING_YET:
        return replace(plan, writing=Writing.SOON)
    if status.state is not State.STARTING or not status.attempts or status.attempts[-1].reason is not None:
        return plan
    if known.attempts and known.attempts[-1].number == status.attempts[-1].number:
        return plan
    child = _unrecorded(seen, status.attempts[-1].number)
    due = (child.created if child else now) + timedelta(seconds=BRIEF_SECONDS)
    if now >= due:
        return replace(plan, writing=Writing.COURTESY)
    wait = max((due - now).total_seconds(), 1.0)
    return replace(plan, writing=Writing.LATER, requeue_after=min(wait, plan.requeue_after or wait))


def _after_end(seen: Observed, now: datetime, policy: Policy) -> Plan:
    """Archive, time to live and finalizer: the only things that ever happen to a run that is over."""
    job = seen.job
    status, meta = job.status, job.meta
    ended = status.completion_time or now
    archived = status.condition(ConditionType.ARCHIVED)
    is_archived = archived is not None and archived.status is TRUE
    if not is_archived and seen.mirrored:
        status = _with_archived(status, now)

    if meta.deletion_timestamp is not None:
        if ARCHIVE_FINALIZER not in meta.finalizers:
            return Plan((), status)
        overdue = max(ended, meta.deletion_timestamp) + timedelta(seconds=policy.patience(seen.leaving))
        if seen.mirrored:
            return Plan((ReleaseFinalizer(),), status)
        if now >= overdue:
            return Plan((ReleaseFinalizer(unarchived=not is_archived),), status)
        return Plan((), status, max((overdue - now).total_seconds(), 1.0))

    if not is_archived and not seen.mirrored:
        return Plan((), status)
    ttl = resolve_options(job.spec, seen.provider.spec if seen.provider else None).ttl
    seconds = ttl.after_success_seconds if status.state is State.SUCCEEDED else ttl.after_failure_seconds
    due = ended + timedelta(seconds=seconds)
    if now >= due:
        return Plan((DeleteOctoJob(),), status)
    return Plan((), status, max((due - now).total_seconds(), 1.0), Writing.COURTESY)


def _with_archived(status: OctoJobStatus, now: datetime) -> OctoJobStatus:
    def renewed(condition: Condition) -> Condition:
        if condition.type != ConditionType.ARCHIVED:
            return condition
        return condition.model_copy(
            update={"status": TRUE, "reason": "Archived", "message": "", "last_transition_time": now}
        )

    return status.model_copy(update={"conditions": tuple(renewed(condition) for condition in status.conditions)})


def _start(draft: Draft, options: ResolvedOptions, policy: Policy) -> Look | None:
    """A run that has not begun: accepted, not held, its time come, its turn come."""
    seen, now = draft.seen, draft.now
    spec, meta = seen.job.spec, seen.job.meta
    draft.change(attempt=0)
    if spec.suspend:
        _hold(draft)
        return None
    _resume(draft)
    if spec.start_after is not None and now < spec.start_after:
        _accept(draft)
        draft.say(ConditionType.ADMITTED, FALSE, "StartAfter", f"not before {spec.start_after.isoformat()}")
        draft.progressing("StartAfter", f"not before {spec.start_after.isoformat()}")
        draft.change(queue_position=None)
        draft.look_again((spec.start_after - now).total_seconds())
        return None
    if not _accept(draft):
        since = max(meta.creation_timestamp, spec.start_after or meta.creation_timestamp, _resumed_at(draft))
        _await_provider(draft, since, options)
        return None
    verdict = admit(seen, options)
    if isinstance(verdict, Forbidden):
        message = f"busy with {', '.join(verdict.holders[:5])}" if verdict.holders else "others are ahead"
        draft.say(ConditionType.ADMITTED, FALSE, "ForbiddenByConcurrency", message)
        fail(draft, Verdict(Category.CONFIG, "ForbiddenByConcurrency", message))
        return None
    if isinstance(verdict, Waits):
        draft.actions.extend(verdict.victims)
        # No names: they change at each turn, and this is written once.
        message = f"at most {options.concurrency.max} at once with key {options.concurrency_key!r}"
        _enqueue(draft, WAITING_FOR_CONCURRENCY, message, verdict.position)
        return None
    if isinstance(verdict, Crowded):
        _enqueue(draft, WAITING_FOR_CAPACITY, "as many runs are active as the namespace may have", verdict.position)
        return None
    return _begin(draft, 1, options, policy)


def _enqueue(draft: Draft, reason: str, message: str, position: int) -> None:
    draft.say(ConditionType.ADMITTED, FALSE, reason, message, steady=True)
    draft.progressing(reason, message, steady=True)
    draft.change(queue_position=_coarse(draft.seen.job.status.queue_position, position))
    draft.look_again(POSITION_REFRESH_SECONDS)


def _retry(draft: Draft, number: int, options: ResolvedOptions, policy: Policy) -> Look | None:
    """Between two attempts: the slot is kept, the time runs."""
    seen, now = draft.seen, draft.now
    due = seen.job.status.next_attempt_time or now
    if seen.job.spec.suspend:
        _hold(draft)
        return None
    _resume(draft)
    deadline = active_deadline(draft, options)
    if deadline is not None and now >= deadline:
        fail(draft, Verdict(Category.TIMEOUT, ACTIVE_DEADLINE, TOO_LONG))
        return None
    if now < due:
        longest = now + backoff(options.retry_policy, seen.job.meta.uid, max(draft.failures(), 1))
        if due > longest:
            # The clock was ahead when that was written.
            due = longest
            draft.change(next_attempt_time=due)
        back_off(draft, number, due)
        return None
    leftovers = [job for job in _own(seen) if not job.finished]
    if leftovers:
        # Never two live attempts: something of an earlier one is still there.
        draft.actions.extend(DeleteJob(job.name, job.uid) for job in leftovers if job.deletion is None)
        draft.look_again(5)
        return None
    if not _accept(draft):
        _await_provider(draft, max(due, _resumed_at(draft)), options)
        return None
    return _begin(draft, number, options, policy)


def _begin(draft: Draft, number: int, options: ResolvedOptions, policy: Policy) -> Look | None:
    """Start an attempt, unless the API server just refused its Job for good."""
    refusal = draft.seen.refusal
    if refusal is not None and refusal.attempt == number:
        if refusal.passing and _await_passing(draft, refusal, options):
            return None
        begin(draft, number, None, options, create=False)
        conclude(draft, number, Verdict(refusal.category, refusal.reason, refusal.message), options)
        return None
    if _may_have_begun(draft.seen):
        # Made and not written down, then the process died, then somebody deleted the Job: its pods may still run.
        if draft.seen.pods is None:
            return Look(pods=child_name(draft.seen.job.meta.name, number))
        if clear_pods(draft, policy, force=False):
            return None
    begin(draft, number, None, options)
    draft.look_again(15)
    return None


def _await_passing(draft: Draft, refusal: Refusal, options: ResolvedOptions) -> bool:
    """Whether there is time left for what keeps the attempt's Job from being made: as much as a pod has to start, from
    when the run was let go or the attempt was due. The first time that it is met never ends the attempt."""
    since = max(
        draft.since(ConditionType.ADMITTED, TRUE),
        draft.since(ConditionType.SUSPENDED, FALSE),
        draft.seen.job.status.next_attempt_time or draft.seen.job.meta.creation_timestamp,
    )
    deadline = since + timedelta(seconds=options.pending_deadline_seconds)
    known = draft.seen.job.status.condition(ConditionType.RUNNING)
    if draft.now >= deadline and known is not None and known.reason == refusal.reason:
        return False
    draft.say(ConditionType.ADMITTED, TRUE, "Admitted")
    draft.say(ConditionType.RUNNING, FALSE, refusal.reason, refusal.message, steady=True)
    draft.progressing(refusal.reason, refusal.message, steady=True)
    draft.look_again(min(refusal.again_after, (deadline - draft.now).total_seconds()))
    return True


def _may_have_begun(seen: Observed) -> bool:
    """Whether a process before this one may have made the Job of the next attempt."""
    attempts = seen.job.status.attempts
    ready = attempts[-1].completion_time if attempts else None
    return seen.since is None or (ready or seen.job.meta.creation_timestamp) < seen.since + CLOCKS_DIFFER


def _accept(draft: Draft) -> bool:
    seen = draft.seen
    if seen.provider is not None and not seen.provider_problem:
        draft.say(ConditionType.ACCEPTED, TRUE, "Accepted")
        return True
    name = seen.job.spec.provider_ref.name
    if seen.provider_problem:
        draft.say(ConditionType.ACCEPTED, FALSE, "InvalidSpec", f"OctoProvider {name!r}: {seen.provider_problem}")
    else:
        draft.say(
            ConditionType.ACCEPTED,
            FALSE,
            "ProviderNotFound",
            f"there is no OctoProvider {name!r} in namespace {seen.job.meta.namespace!r}",
        )
    return False


def _await_provider(draft: Draft, since: datetime, options: ResolvedOptions) -> None:
    seen = draft.seen
    reason = "InvalidSpec" if seen.provider_problem else "ProviderNotFound"
    message = f"OctoProvider {seen.job.spec.provider_ref.name!r} " + (
        f"cannot be used: {seen.provider_problem}" if seen.provider_problem else "does not exist"
    )
    known = seen.job.status.condition(ConditionType.ACCEPTED)
    if known is not None and known.status is not UNKNOWN:
        # It was there, and went while the run waited: the time counts from then on.
        since = max(since, known.last_transition_time if known.status is FALSE else draft.now)
    deadline = since + timedelta(seconds=options.pending_deadline_seconds)
    if draft.now >= deadline:
        fail(draft, Verdict(Category.CONFIG, reason, message))
        return
    if not seen.job.status.attempts:
        draft.say(ConditionType.ADMITTED, FALSE, "Pending")
        draft.change(queue_position=None)
    draft.progressing(reason, message)
    draft.look_again((deadline - draft.now).total_seconds())


def _hold(draft: Draft) -> None:
    draft.say(ConditionType.SUSPENDED, TRUE, "UserSuspended")
    draft.progressing("UserSuspended")
    draft.change(queue_position=None)


def _resume(draft: Draft) -> None:
    draft.say(ConditionType.SUSPENDED, FALSE, "NotSuspended")


def _resumed_at(draft: Draft) -> datetime:
    """Since when the run is not held any more; long ago if it never was."""
    condition = draft.seen.job.status.condition(ConditionType.SUSPENDED)
    if condition is None:
        return draft.seen.job.meta.creation_timestamp
    return draft.now if condition.status is not FALSE else condition.last_transition_time


def _coarse(known: int | None, position: int) -> int:
    """The place in line to write down: exact near the front, further back only when it has halved or doubled, so that
    the end of one run is not a write for each that waits."""
    if known is None or position <= EXACT_POSITIONS or not known // 2 < position < known * 2:
        return position
    return known
