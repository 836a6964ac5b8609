"""What is known of the cluster, and who is to be visited when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from octo_controller.engine.cache import Cache, name_of, uid_of
from octo_controller.reconcile.ledger import Ledger, Standing
from octo_controller.reconcile.model import JobView, Line, Observed, Plan, Pods, Refusal
from octo_controller.reconcile.views import job_view
from octo_core.crd.resources import OctoJob, OctoProvider, parse_job, parse_provider, parse_time
from octo_core.domain.errors import InvalidError
from octo_core.domain.provider import OctoProviderStatus
from octo_core.domain.run import resolve_turn
from octo_core.domain.states import WAITING_FOR_CAPACITY
from octo_core.domain.status import ConditionStatus, ConditionType, OctoJobStatus, State

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

WOKEN = 10
"""How many of those that wait are visited when there may be room; the others look for themselves."""
PROVIDER_DELAY = 2.0


class Kind(StrEnum):
    """The kinds that are watched."""

    JOB = "OctoJob"
    PROVIDER = "OctoProvider"
    CHILD = "Job"


Key = tuple[Kind, str]
"""What the queue holds: an OctoJob or an OctoProvider by name."""


class Queue(Protocol):
    """The part of the work queue that is needed here."""

    def add(self, key: Key) -> None: ...
    def add_after(self, key: Key, delay: float) -> None: ...
    def forget(self, key: Key) -> None: ...


class Mirror(Protocol):
    """The part of the projector that is needed here."""

    def offer(self, raw: Raw) -> None: ...
    def gone(self, uid: str) -> None: ...
    def holds(self, uid: str, version: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Provider:
    """An OctoProvider, or why it cannot be read."""

    name: str
    provider: OctoProvider | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was looked up for one decision. Pods count only as long as the Job is what it was then."""

    child: JobView | None = None
    pods: Pods | None = None
    absent: bool = False
    refusal: Refusal | None = None
    look_in: float = 0.0


class World:
    """Three caches and the ledger of turns. All methods are synchronous: what they read together
    belongs together. ``capacity`` is how many runs may be active in the namespace; ``wrote`` is called with
    what a write of ours was answered, ``started`` with the seconds from a run's creation to its start."""

    def __init__(
        self,
        queue: Queue,
        mirror: Mirror,
        *,
        capacity: int | None = None,
        wrote: Callable[[Kind, Raw], None] = lambda kind, raw: None,
        started: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._queue = queue
        self._mirror = mirror
        self._wrote = wrote
        self._started = started
        self.since: datetime | None = None
        """When this process began to decide alone; see ``Observed.since``."""
        self.jobs: Cache[OctoJob] = Cache(parse_job, indexes={"provider": lambda job: (job.spec.provider_ref.name,)})
        self.providers: Cache[Provider] = Cache(_provider)
        self.children: Cache[JobView] = Cache(job_view, indexes={"owner": lambda job: (job.owner_uid,)})
        self.unreadable: dict[str, Raw] = {}
        """OctoJobs that break their schema, by name: nothing is done for them, but they are let go."""
        self.leaving = False
        # Runs that were let go and may not show it in the cluster yet. Rebuilt from Jobs and status by a restart.
        self._admitted: set[str] = set()
        # The newest Job of each run that was seen: the cluster may lose one before its uid is written down.
        self._newest: dict[str, JobView] = {}
        # The latest end of a provider's runs that are out of view.
        self._aside: dict[str, datetime] = {}
        self._ledger = Ledger(capacity=capacity)

    def leave(self) -> None:
        """The namespace is being deleted: what waits for the archive does not wait long any more."""
        self.leaving = True
        self.visit_all()

    def saw(self, kind: Kind, raw: Raw, *, own: bool = False) -> None:
        """Take in an object that was listed, watched, or (``own``) answered to a write of ours, after
        which its own key needs no visit."""
        name = name_of(raw)
        if own:
            self._wrote(kind, raw)
        if kind is Kind.CHILD:
            known = self.children.get(name)
            if self.children.put(raw):
                child = self.children.get(name)
                if child is not None and child.owner_name:
                    self._keep_newest(child)
                    self._enter(self.jobs.get(child.owner_name))
                    # Some of what the Job controller writes is for itself: to us the Job is as it was.
                    if not own and child != known:
                        self._queue.add((Kind.JOB, child.owner_name))
        elif kind is Kind.PROVIDER:
            before = self.providers.get(name)
            if self.providers.put(raw):
                self._provider_changed(name, before)
        else:
            self._saw_job(name, raw, own=own)

    def gone(self, kind: Kind, name: str, uid: str) -> None:
        """Take in that an object is gone."""
        if kind is Kind.CHILD:
            child = self.children.get(name)
            if self.children.remove(name, uid) and child is not None:
                self._enter(self.jobs.get(child.owner_name))
                self._queue.add((Kind.JOB, child.owner_name))
        elif kind is Kind.PROVIDER:
            if self.providers.remove(name, uid):
                self._visit_jobs_of(name)
        else:
            self._forget_unreadable(name, uid)
            if self.jobs.remove(name, uid):
                self._leave(uid)
                self._mirror.gone(uid)
                self._queue.forget((Kind.JOB, name))

    def left(self, name: str, uid: str) -> None:
        """Take in that an OctoJob is not this controller's to decide; whether it is gone, nobody says."""
        self._forget_unreadable(name, uid)
        if self.jobs.forget(name, uid):
            self._leave(uid)
            self._queue.forget((Kind.JOB, name))

    def put_aside(self, raw: Raw) -> None:
        """Take in that an OctoJob is over and rests, and is not kept in view any more."""
        ended = (raw.get("status") or {}).get("completionTime")
        if ended is not None:
            provider, at = raw["spec"]["providerRef"]["name"], parse_time(ended)
            self._aside[provider] = max(at, self._aside.get(provider, at))
        self.left(name_of(raw), uid_of(raw))

    def runs_of(self, provider: str) -> list[OctoJob]:
        """A provider's runs that its status may learn from: not those that ended before one that is out of view."""
        since, runs = self._aside.get(provider), self.jobs.find("provider", provider)
        if since is None:
            return runs
        return [run for run in runs if run.status.completion_time is None or run.status.completion_time >= since]

    def visit_all(self) -> None:
        """Have everything looked at again."""
        for job in self.jobs:
            self._queue.add((Kind.JOB, job.meta.name))
        for entry in self.providers:
            self._queue.add((Kind.PROVIDER, entry.name))

    def observe(self, name: str, facts: Facts, *, now: datetime) -> Observed | None:
        """Everything about one OctoJob as it is known at this moment; None if it is gone."""
        job = self.jobs.get(name)
        if job is None:
            return None
        entry = self.providers.get(job.spec.provider_ref.name)
        fresh = facts.child is None or self.children.get(facts.child.name) == facts.child
        over = _over(job)
        self._enter(job, now=now)
        return Observed(
            job=job,
            provider=entry.provider if entry else None,
            provider_problem=entry.problem if entry else "",
            children=() if over else tuple(self.children.find("owner", job.meta.uid)),
            line=Line() if over or job.status.attempts else self._ledger.line(job.meta.uid),
            admitted=job.meta.uid in self._admitted or self._has_begun(job),
            leaving=self.leaving,
            mirrored=self._mirror.holds(job.meta.uid, job.meta.resource_version),
            pods=facts.pods if fresh else None,
            newest=None if over else self._newest.get(job.meta.uid),
            since=self.since,
            absent=facts.absent,
            refusal=facts.refusal,
            look_in=facts.look_in,
        )

    def mirrored(self, raw: Raw) -> bool:
        """Whether this very version is committed to Postgres."""
        return self._mirror.holds(uid_of(raw), raw["metadata"]["resourceVersion"])

    def note(self, seen: Observed, plan: Plan) -> None:
        """Enter into the ledger what was just decided, before anything else can be."""
        uid = seen.job.meta.uid
        if plan.status.state is not None and not plan.status.state.terminal and _is_let_go(plan.status):
            self._admitted.add(uid)
        else:
            self._admitted.discard(uid)
        self._enter(self.jobs.get(seen.job.meta.name))
        if _waits_for_capacity(plan.status):
            self._ledger.enter_hall(uid)

    def states(self) -> dict[State, int]:
        """How many OctoJobs there are in each state."""
        counts = dict.fromkeys(State, 0)
        for job in self.jobs:
            counts[job.status.state or State.PENDING] += 1
        return counts

    def stalled(self) -> int:
        """How many runs have told of no progress for too long."""
        stalled = (job.status.condition(ConditionType.STALLED) for job in self.jobs if not _over(job))
        return sum(condition is not None and condition.status is ConditionStatus.TRUE for condition in stalled)

    def last_successes(self) -> dict[str, float]:
        """When each provider last succeeded, in seconds since 1970; without those that never did."""
        return self._times(lambda status: status.last_success_time)

    def last_ticks(self) -> dict[str, float]:
        """When each provider's schedule last made a run, in seconds since 1970; without those where it never did."""
        return self._times(lambda status: status.schedule.last_schedule_time if status.schedule else None)

    def next_ticks(self) -> dict[str, float]:
        """When each provider's schedule is due, in seconds since 1970; without those that have none."""
        return self._times(lambda status: status.schedule.next_schedule_time if status.schedule else None)

    def _times(self, read: Callable[[OctoProviderStatus], datetime | None]) -> dict[str, float]:
        found = {entry.name: read(entry.provider.status) for entry in self.providers if entry.provider}
        return {name: at.timestamp() for name, at in found.items() if at is not None}

    def _saw_job(self, name: str, raw: Raw, *, own: bool) -> None:
        before = self.jobs.get(name)
        try:
            news = self.jobs.put(raw)
        except InvalidError as error:
            logger.error("OctoJob %s is left alone: %s", name, error.detail)
            self.unreadable[name] = raw
            self._mirror.offer(raw)
            self._queue.add((Kind.JOB, name))
            return
        if not news:
            return
        self.unreadable.pop(name, None)
        self._mirror.offer(raw)
        job = self.jobs.get(name)
        if not own:
            self._queue.add((Kind.JOB, name))
        if before is not None and before.meta.uid != uid_of(raw):
            self._leave(before.meta.uid)
            self._mirror.gone(before.meta.uid)
        if job is None:
            return
        if before is not None and before.status.start_time is None and job.status.start_time is not None:
            self._started((job.status.start_time - job.meta.creation_timestamp).total_seconds())
        if _over(job):
            self._leave(job.meta.uid)
            if before is not None and not _over(before):
                self._queue.add_after((Kind.PROVIDER, job.spec.provider_ref.name), PROVIDER_DELAY)
            return
        if self.since is None or before is None:
            # Decided by another process: what it let go has its turn, also if the Job could not be made yet.
            (self._admitted.add if _is_let_go(job.status) else self._admitted.discard)(job.meta.uid)
        self._enter(job)

    def _forget_unreadable(self, name: str, uid: str) -> None:
        if name in self.unreadable and uid_of(self.unreadable[name]) == uid:
            del self.unreadable[name]

    def _provider_changed(self, name: str, before: Provider | None) -> None:
        self._queue.add((Kind.PROVIDER, name))
        entry = self.providers.get(name)
        old = before.provider.meta.generation if before and before.provider else None
        if entry is None or entry.provider is None or entry.provider.meta.generation != old:
            self._visit_jobs_of(name)

    def _visit_jobs_of(self, provider: str) -> None:
        for job in self.jobs.find("provider", provider):
            if not _over(job):
                self._enter(job)
                self._queue.add((Kind.JOB, job.meta.name))

    def _enter(self, job: OctoJob | None, *, now: datetime | None = None) -> None:
        """Bring the ledger level with a run, and visit those who may have room by it."""
        if job is None or _over(job):
            return
        uid = job.meta.uid
        before = self._ledger.get(uid)
        standing = self._standing(job, before, now)
        self._ledger.put(standing)
        if before is None and _waits_for_capacity(job.status):
            self._ledger.enter_hall(uid)
        if before is not None and standing.makes_room(before):
            self._wake(before.key)
            if standing.key != before.key:
                self._wake(standing.key)

    def _keep_newest(self, child: JobView) -> None:
        owner = self.jobs.get(child.owner_name)
        if owner is None or owner.meta.uid != child.owner_uid or _over(owner):
            return
        known = self._newest.get(child.owner_uid)
        if known is None or known.attempt <= child.attempt:
            self._newest[child.owner_uid] = child

    def _leave(self, uid: str) -> None:
        self._admitted.discard(uid)
        self._newest.pop(uid, None)
        before = self._ledger.get(uid)
        self._ledger.remove(uid)
        if before is not None:
            self._wake(before.key)

    def _wake(self, key: str) -> None:
        """Visit those next in line, who may have room now: first of the key, then of the namespace."""
        for name in (*self._ledger.next_in(key, WOKEN), *self._ledger.next_in_hall(WOKEN)):
            self._queue.add((Kind.JOB, name))

    def _standing(self, job: OctoJob, before: Standing | None, now: datetime | None) -> Standing:
        entry = self.providers.get(job.spec.provider_ref.name)
        provider = entry.provider if entry else None
        turn = resolve_turn(job.spec, provider.spec if provider else None)
        key = turn.concurrency_key
        if provider is None and before is not None and job.spec.concurrency is None:
            # It went, or cannot be read: a run that is active under the key that it named stays so.
            key = before.key
        uid, cancelled = job.meta.uid, job.spec.cancel is not None or job.meta.deletion_timestamp is not None
        active = uid in self._admitted or self._has_begun(job)
        early = job.spec.start_after is not None
        if early and now is not None:
            early = job.spec.start_after is not None and now < job.spec.start_after
        elif early and before is not None:
            # Nobody's clock is needed to know who waits: one whose time has come says so when it is visited.
            early = not before.waiting
        return Standing(
            uid=uid,
            name=job.meta.name,
            resource_version=job.meta.resource_version,
            key=key,
            policy=turn.concurrency.policy,
            max=turn.concurrency.max,
            priority=turn.priority,
            created=job.meta.creation_timestamp,
            active=active,
            waiting=not (active or cancelled or early or job.spec.suspend or provider is None),
            cancelled=cancelled,
        )

    def _has_begun(self, job: OctoJob) -> bool:
        return bool(job.status.attempts) or bool(self.children.find("owner", job.meta.uid))


def _provider(raw: Raw) -> Provider:
    try:
        return Provider(name_of(raw), parse_provider(raw))
    except InvalidError as error:
        return Provider(name_of(raw), None, error.detail)


def _over(job: OctoJob) -> bool:
    return job.status.state is not None and job.status.state.terminal


def _is_let_go(status: OctoJobStatus) -> bool:
    """Whether a run has its turn. It keeps that while its Job cannot be made: to give it up at each refusal, and to
    take it back at once, would be news each time for those who wait, itself among them."""
    if status.attempts:
        return True
    admitted, held = status.condition(ConditionType.ADMITTED), status.condition(ConditionType.SUSPENDED)
    return (
        admitted is not None
        and admitted.status is ConditionStatus.TRUE
        and (held is None or held.status is not ConditionStatus.TRUE)
    )


def _waits_for_capacity(status: OctoJobStatus) -> bool:
    admitted = status.condition(ConditionType.ADMITTED)
    return admitted is not None and admitted.reason == WAITING_FOR_CAPACITY
