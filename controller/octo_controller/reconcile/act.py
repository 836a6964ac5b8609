"""Carries out plans, and looks up what decisions ask for: all calls to the Kubernetes API."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from octo_controller.engine.pace import Pace
from octo_controller.engine.slots import Grace, Slots, pace
from octo_controller.reconcile.announcements import Announcement, announcements
from octo_controller.reconcile.draft import clip
from octo_controller.reconcile.logs import with_log_tails
from octo_controller.reconcile.manifest import PodSettings, child_job
from octo_controller.reconcile.model import (
    REPLACED_BY,
    AddFinalizer,
    CancelPeer,
    CreateJob,
    DeleteJob,
    DeleteOctoJob,
    DeletePods,
    JobView,
    Look,
    Observed,
    Plan,
    Pods,
    Refusal,
    ReleaseFinalizer,
    SuspendJob,
    Writing,
)
from octo_controller.reconcile.patches import only_tells, status_patch
from octo_controller.reconcile.pending import awaited
from octo_controller.reconcile.pods import PodLists
from octo_controller.reconcile.refusal import refusal_cause
from octo_controller.reconcile.views import job_view
from octo_controller.reconcile.warnings import Warnings
from octo_controller.reconcile.world import Facts, Kind, World
from octo_core.crd.resources import OctoJob, parse_time
from octo_core.domain.errors import (
    AlreadyExistsError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from octo_core.domain.failure import Category
from octo_core.domain.job import CancelMode
from octo_core.domain.model import rfc3339
from octo_core.domain.names import ARCHIVE_FINALIZER, child_name
from octo_core.domain.provider import OctoProviderStatus
from octo_core.domain.status import JobRef, OctoJobStatus, State
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS, OCTOJOBS, OCTOPROVIDERS, PODS

Raw = dict[str, Any]
logger = logging.getLogger(__name__)
WEBHOOK_UNAVAILABLE = "WebhookUnavailable"
FORBIDDEN_PATIENCE_SECONDS = 60.0
NAME_TAKEN_AGAIN_SECONDS = 5.0
UNREADABLE_AGAIN_SECONDS = 5.0
COURTESIES_AT_ONCE = 20
"""Writes of statuses that may wait (``Writing.COURTESY``)."""
SOON_SECONDS, SOON_PER_SECOND, SOON_AT_ONCE = 5.0, 1.0, 20
"""Writes of statuses that may be late by seconds (``Writing.SOON``)."""
HORIZON = 30.0
LOOKS_PER_SECOND, LOOKS_AT_ONCE = 2.0, 20
"""Looks that may wait (``Look.may_wait``)."""
TELLING_SECONDS = 1.0
"""Between two writes of one run's status that decide nothing: a pod that comes and goes would make any number."""
PROVIDER_EVERY_SECONDS = 10.0
OF_RUNS = frozenset({"lastSuccessTime", "lastJob"})
"""What each run that ends well changes of a provider's status."""


class ChildRefusedError(Exception):
    """The API server does not take an attempt's Job; asking again at once would not help."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(slots=True)
class Counters:
    """What the actor did, for the metrics."""

    writes: int = 0
    unarchived: int = 0


class Actor:
    """Does one plan at a time for an object; what the API server answers goes straight into the caches."""

    def __init__(
        self,
        client: KubeClient,
        world: World,
        *,
        namespace: str,
        pods: PodSettings,
        announce: Callable[[OctoJob, Announcement], None] = lambda job, announcement: None,
        ended: Callable[[State], None] = lambda state: None,
        clock: Callable[[], float] = time.monotonic,
        gather: float = 0.0,
    ) -> None:
        """``gather`` is the seconds from one list of pods to the next, which then is for all who ask meanwhile."""
        self._client = client
        self._world = world
        self._namespace = namespace
        self._pods = pods
        self._announce = announce
        self._ended = ended
        self._forbidden_since: float | None = None
        self._slots: Slots[str] = Slots(per_second=pace, burst=COURTESIES_AT_ONCE, clock=clock)
        self._soon: Grace[str] = Grace(
            seconds=SOON_SECONDS, per_second=SOON_PER_SECOND, burst=SOON_AT_ONCE, clock=clock
        )
        self._looks: Slots[str] = Slots(per_second=LOOKS_PER_SECOND, burst=LOOKS_AT_ONCE, horizon=HORIZON, clock=clock)
        self._pods_of = PodLists(client, namespace=namespace, gather=gather)
        self._warnings = Warnings(client, namespace=namespace, clock=clock)
        self._pace: Pace[str] = Pace(gap=TELLING_SECONDS, clock=clock)
        self._provider_pace: Pace[str] = Pace(gap=PROVIDER_EVERY_SECONDS, clock=clock)
        self.counters = Counters()

    def look_wait(self, uid: str) -> float:
        """Seconds until it is a run's turn to be looked at; 0 uses the turn up."""
        return self._looks.wait(uid)

    async def look(self, look: Look, facts: Facts) -> Facts:
        """The facts with what was asked for."""
        if look.job is not None:
            try:
                raw = await self._client.get(JOBS, self._namespace, look.job)
            except NotFoundError:
                return replace(facts, absent=True)
            if look.uid not in (None, raw["metadata"]["uid"]) or look.owner not in (None, job_view(raw).owner_uid):
                return replace(facts, absent=True)
            # A live read outweighs a DELETED event, which also comes when a Job only loses its label.
            self._world.children.put(raw, revive=True)
            return facts
        if look.pods is None:
            return facts
        child = self._world.children.get(look.pods)
        pods = await self._pods_of.of(look.pods, uid=child.uid if child is not None else look.uid)
        if look.warnings and child is not None:
            pods = await self._with_warnings(pods, child)
        return replace(facts, child=child, pods=pods)

    async def carry_out(self, seen: Observed, plan: Plan) -> float | None:
        """Do the actions in order, then write the status if it differs and its time has come; the seconds after
        which the OctoJob is to be visited again.

        Raises ChildRefusedError, and whatever the API says; what is left undone is decided anew.
        """
        job = seen.job
        version, status = job.meta.resource_version, plan.status
        for action in plan.actions:
            match action:
                case AddFinalizer():
                    version = await self._finalizers(seen, version, (*job.meta.finalizers, ARCHIVE_FINALIZER))
                case CreateJob(attempt):
                    status = with_child(status, attempt, *await self._create(seen, attempt))
                case ReleaseFinalizer(unarchived):
                    self.counters.unarchived += unarchived
                    rest = tuple(name for name in job.meta.finalizers if name != ARCHIVE_FINALIZER)
                    await self._finalizers(seen, version, rest)
                    return None
                case DeleteOctoJob():
                    self.counters.writes += 1
                    await self._client.delete(OCTOJOBS, self._namespace, job.meta.name, uid=job.meta.uid)
                    return None
                case DeleteJob(name, uid):
                    await self._delete(JOBS, name, uid, propagation="Foreground")
                case DeletePods(names, force):
                    grace = {"grace_period_seconds": 0} if force else {}
                    await asyncio.gather(*(self._delete(PODS, name, uid, **grace) for name, uid in names))
                case SuspendJob(name, suspend):
                    self.counters.writes += 1
                    raw = await self._client.patch(JOBS, self._namespace, name, {"spec": {"suspend": suspend}})
                    self._world.saw(Kind.CHILD, raw, own=True)
                case CancelPeer(name, peer_version, mode):
                    await self.replace(name, peer_version, by=job.meta.name, at=job.meta.creation_timestamp, mode=mode)
        status = await with_log_tails(self._client, self._namespace, job.status, status)
        patch = status_patch(job.status, status)
        if patch and plan.writing in (Writing.NOW, Writing.SOON) and only_tells(job.status, status):
            pause = self._pace.wait(job.meta.uid)
            if pause:
                return min(pause, plan.requeue_after or pause)
        if patch and plan.writing is not Writing.NOW:
            wait = self._write_wait(plan, job.meta.uid)
            if wait:
                return min(wait, plan.requeue_after or wait)
        if patch:
            # Conditional: whatever changed since, a cancel or an end written by another, is decided on first.
            body = {"metadata": {"resourceVersion": version}, "status": patch}
            self.counters.writes += 1
            raw = await self._client.patch(OCTOJOBS, self._namespace, job.meta.name, body, subresource="status")
            self._world.saw(Kind.JOB, raw, own=True)
            if status.state is not None and status.state.terminal and status.state is not job.status.state:
                self._ended(status.state)
            for announcement in announcements(job.status, status):
                self._announce(job, announcement)
        return plan.requeue_after

    def _write_wait(self, plan: Plan, uid: str) -> float | None:
        """Seconds until a status is written that is not to be written at once."""
        match plan.writing:
            case Writing.COURTESY:
                return self._slots.wait(uid)
            case Writing.SOON:
                return self._soon.wait(uid)
        return plan.requeue_after

    async def write_provider(
        self, name: str, version: str, before: OctoProviderStatus, after: OctoProviderStatus
    ) -> float | None:
        """Write an OctoProvider's status if it differs; the seconds after which to come back, if runs alone changed
        it and it was written a moment ago."""
        patch = status_patch(before, after)
        if not patch:
            return None
        wait = self._provider_pace.wait(name) if patch.keys() <= OF_RUNS else 0.0
        if wait:
            return wait
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        self.counters.writes += 1
        raw = await self._client.patch(OCTOPROVIDERS, self._namespace, name, body, subresource="status")
        self._world.saw(Kind.PROVIDER, raw, own=True)
        return None

    async def confirm_gone(self, name: str, error: NotFoundError) -> bool:
        """After a write that found nothing: look, and take in that an OctoJob is there or is not. Whether it is gone.

        No watch tells of what was deleted between its list and ours. ``error`` is the answer to the write.
        """
        known = self._world.jobs.get(name)
        if known is None or name not in error.detail:
            # Without the name in it, the answer is of a server that does not know the kind, not of one that looked.
            return False
        try:
            raw = await self._client.get(OCTOJOBS, self._namespace, name)
        except NotFoundError:
            raw = None
        if raw is not None and raw["metadata"]["uid"] == known.meta.uid:
            self._world.saw(Kind.JOB, raw)
            return False
        self._world.gone(Kind.JOB, name, known.meta.uid)
        return True

    async def let_go(self, name: str, *, now: datetime, patience: float) -> float | None:
        """Let go of a deleted OctoJob that cannot be read, once it is mirrored, or that took longer than ``patience``
        seconds. The seconds after which to come back."""
        raw = self._world.unreadable.get(name)
        if raw is None or "deletionTimestamp" not in raw["metadata"]:
            return None
        meta = raw["metadata"]
        rest = [each for each in meta.get("finalizers", ()) if each != ARCHIVE_FINALIZER]
        if len(rest) == len(meta.get("finalizers", ())):
            return None
        mirrored = self._world.mirrored(raw)
        if not mirrored and (now - parse_time(meta["deletionTimestamp"])).total_seconds() < patience:
            return UNREADABLE_AGAIN_SECONDS
        self.counters.unarchived += not mirrored
        self.counters.writes += 1
        body = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": rest}}
        try:
            answer = await self._client.patch(OCTOJOBS, self._namespace, name, body)
        except NotFoundError as error:
            if name not in error.detail:
                raise
            self._world.gone(Kind.JOB, name, meta["uid"])
            return None
        if rest:  # Else it is gone, and the watch says so.
            self._world.saw(Kind.JOB, answer)
        return None

    async def submit(self, body: Raw) -> None:
        """Make an OctoJob, unless there is one of its name."""
        self.counters.writes += 1
        try:
            raw = await self._client.create(OCTOJOBS, self._namespace, body)
        except AlreadyExistsError:
            return
        self._world.saw(Kind.JOB, raw)

    async def replace(
        self, name: str, version: str, *, by: str, at: datetime, mode: CancelMode = CancelMode.GRACEFUL
    ) -> None:
        """Cancel an OctoJob, if it is still as it was in ``version``, since ``by`` takes its place."""
        cancel = {
            "requestedAt": rfc3339(at),
            "requestedBy": REPLACED_BY,
            "reason": f"replaced by {by}",
            "mode": mode.value,
        }
        body = {"metadata": {"resourceVersion": version}, "spec": {"cancel": cancel}}
        self.counters.writes += 1
        try:
            raw = await self._client.patch(OCTOJOBS, self._namespace, name, body)
        except NotFoundError as error:
            await self.confirm_gone(name, error)
            return
        self._world.saw(Kind.JOB, raw)

    async def _create(self, seen: Observed, attempt: int) -> tuple[str, str]:
        """Make the Job of an attempt, or adopt it; its name and uid."""
        job, provider = seen.job, seen.provider
        name = child_name(job.meta.name, attempt)
        if provider is None:
            raise RuntimeError("a Job cannot be made without its provider")
        body = child_job(job, provider, attempt, self._pods)
        self.counters.writes += 1
        try:
            raw = await self._client.create(JOBS, self._namespace, body)
        except AlreadyExistsError:
            raw = await self._client.get(JOBS, self._namespace, name)
            if job_view(raw).owner_uid != job.meta.uid:
                raise ChildRefusedError(_name_taken(raw, job, attempt)) from None
        except (InvalidError, ForbiddenError) as error:
            denied = isinstance(error, ForbiddenError)
            cause = refusal_cause(error.detail, otherwise="JobForbidden" if denied else "JobRejected")
            if cause.reason == "JobForbidden" and self._may_pass():
                raise ClusterUnavailableError(f"the API server does not allow the Job: {error.detail}") from error
            message = f"the API server does not {'allow' if denied else 'take'} the Job: {error.detail}"
            raise ChildRefusedError(Refusal(attempt, cause.category, cause.reason, clip(message))) from error
        except ClusterUnavailableError as error:
            cause = refusal_cause(error.detail, otherwise="JobRejected")
            if cause.reason != WEBHOOK_UNAVAILABLE:
                raise
            # Only the Job is in the way of something that may be away for long; all else goes on.
            refusal = Refusal(attempt, cause.category, cause.reason, clip(error.detail), passing=True)
            raise ChildRefusedError(refusal) from error
        self._forbidden_since = None
        self._world.saw(Kind.CHILD, raw, own=True)
        return name, str(raw["metadata"]["uid"])

    def _may_pass(self) -> bool:
        """Whether a lack of rights may still pass by itself: an API server that has just started knows of none yet."""
        now = asyncio.get_running_loop().time()
        if self._forbidden_since is None:
            self._forbidden_since = now
        return now - self._forbidden_since < FORBIDDEN_PATIENCE_SECONDS

    async def _finalizers(self, seen: Observed, version: str, finalizers: tuple[str, ...]) -> str:
        body = {"metadata": {"resourceVersion": version, "finalizers": list(finalizers)}}
        self.counters.writes += 1
        raw = await self._client.patch(OCTOJOBS, self._namespace, seen.job.meta.name, body)
        if ARCHIVE_FINALIZER in finalizers:
            self._world.saw(Kind.JOB, raw, own=True)
        return str(raw["metadata"]["resourceVersion"])

    async def _delete(self, resource: Any, name: str, uid: str, **options: Any) -> None:
        self.counters.writes += 1
        try:
            await self._client.delete(resource, self._namespace, name, uid=uid, **options)
        except NotFoundError:
            return
        except ConflictError:
            logger.info("%s %s is another one by now; left alone", resource.kind, name)

    async def _with_warnings(self, pods: Pods, child: JobView) -> Pods:
        """The pods with what events say of the first that waits, which stands for all: they are alike; and of the
        Job, if it lacks a pod."""
        late = awaited(child, pods)
        first = next((pod for pod in late if pod is not None), None)
        if first is not None:
            told = replace(first, warnings=await self._warnings.about("Pod", first.name))
            pods = replace(pods, items=tuple(told if pod is first else pod for pod in pods.items))
        if None in late:
            pods = replace(pods, warnings=await self._warnings.about("Job", child.name))
        return pods


def _name_taken(raw: Raw, job: OctoJob, attempt: int) -> Refusal:
    """The refusal by a Job that has an attempt's name and another owner. Kubernetes collects it where that was an
    earlier OctoJob of the same name, which is gone since ours is there."""
    name, owners = raw["metadata"]["name"], raw["metadata"].get("ownerReferences", ())
    if any(o.get("controller") and o.get("kind") == OCTOJOBS.kind and o.get("name") == job.meta.name for o in owners):
        message = f"the Job {name!r} of an earlier OctoJob of this name is still there; waiting for it to go"
        return Refusal(
            attempt, Category.CONFIG, "NameTaken", message, passing=True, again_after=NAME_TAKEN_AGAIN_SECONDS
        )
    message = f"there is a Job {name!r} that belongs to someone else; delete it, or use another name"
    return Refusal(attempt, Category.CONFIG, "NameTaken", message)


def with_child(status: OctoJobStatus, number: int, name: str, uid: str) -> OctoJobStatus:
    """The status with the uid of a Job that has just been made."""
    attempts = tuple(
        attempt.model_copy(update={"job_uid": uid}) if attempt.number == number else attempt
        for attempt in status.attempts
    )
    return status.model_copy(update={"attempts": attempts, "job_ref": JobRef(name=name, uid=uid)})
