"""Puts runs aside that are over: out of the watches and out of memory, until there is something to do with one again.

Such an OctoJob, archived and at rest for a while, gets a label that the watches exclude, as do its Jobs before it. It
gives up the archive's finalizer with the same write, since what that waits for has come. What is left to be done is
done by the resync, which lists all OctoJobs page by page, and by a watch of the metadata of those that are put aside:
to follow changes into Postgres, to see that one is deleted, and to end one whose time to live is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from octo_controller.engine.queue import RetryLaterError, WorkQueue
from octo_controller.engine.slots import pace
from octo_controller.mirror.projector import Projector
from octo_controller.reconcile.world import World
from octo_core.crd.resources import OctoJob, parse_job
from octo_core.domain.errors import InvalidError, NotFoundError, OctoError
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_ARCHIVED
from octo_core.domain.run import resolve_options
from octo_core.domain.status import ConditionStatus, ConditionType, State
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS, OCTOJOBS

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.05
"""After each: none of it is urgent. While there is better to do, it is longer, by how many wait."""
OWN_WRITES = 10_000
MOST_PENDING = 2_000


class Step(StrEnum):
    """What is done with an OctoJob."""

    PUT_ASIDE = "PutAside"
    REVIEW = "Review"


def is_put_aside(raw: Raw) -> bool:
    """Whether an OctoJob has the label, whatever else it says."""
    return LABEL_ARCHIVED in raw["metadata"].get("labels", {})


class Parting(StrEnum):
    """What a DELETED means that comes from a watch with a selector."""

    LEFT = "Left"
    """The selector does not match any more, and it is there."""
    GONE = "Gone"
    UNSURE = "Unsure"
    """Only a look can tell."""


def parting(raw: Raw) -> Parting:
    """What a DELETED means by its object, which is as it was before: what is really deleted is marked so first, as long
    as it has a finalizer, and keeps that until it is over."""
    meta = raw["metadata"]
    if "deletionTimestamp" in meta:
        return Parting.GONE if (raw.get("status") or {}).get("state") in _TERMINAL else Parting.UNSURE
    return Parting.LEFT if meta.get("finalizers") else Parting.UNSURE


class Archivist:
    """Works through a queue of its own. ``busy`` says that there is better to do; ``kept_seconds`` is how
    near the end of its time to live an OctoJob must be to be kept in view until then."""

    def __init__(
        self,
        client: KubeClient,
        world: World,
        projector: Projector,
        *,
        namespace: str,
        clock: Callable[[], datetime],
        busy: Callable[[], bool],
        after_seconds: float,
        kept_seconds: float,
        wrote: Callable[[Raw], None] = lambda raw: None,
    ) -> None:
        """``wrote`` is called with what the write was answered that puts an OctoJob aside."""
        self._client = client
        self._world = world
        self._projector = projector
        self._namespace = namespace
        self._clock = clock
        self._busy = busy
        self._after = after_seconds
        self._kept = timedelta(seconds=kept_seconds)
        self._wrote = wrote
        # By uid: of one name there may be one that is gone and one that came after it.
        self._names: dict[str, str] = {}
        self._last: OrderedDict[str, Raw] = OrderedDict()
        self._own: OrderedDict[str, str] = OrderedDict()
        self.queue: WorkQueue[tuple[Step, str]] = WorkQueue()
        self.accepting = False
        """Whether anything is done. A standby has nothing to do: who takes over looks at all there is."""
        self.writes = 0

    def start(self) -> None:
        """Begin to work."""
        self.queue.start(self._visit, workers=1)

    def committed(self, raw: Raw) -> None:
        """A version of an OctoJob is in Postgres that may be its last: it is put aside after a while."""
        if self.accepting and _rests(raw) and not is_put_aside(raw):
            self.queue.add_after((Step.PUT_ASIDE, raw["metadata"]["name"]), self._after)

    def listed(self, raw: Raw, *, mirrored: int | None) -> bool:
        """An OctoJob that is put aside was listed; Postgres has its version ``mirrored``, if that is known. False to be
        told again soon: of an archive that is lost, only so many are held at once until they are written."""
        if not self.accepting:
            return True
        if not _rests(raw) or self._expired(raw):
            self._review(raw)
        if mirrored is None or int(raw["metadata"]["resourceVersion"]) <= mirrored:
            return True
        if self._projector.pending >= MOST_PENDING:
            return False
        self._projector.offer(raw)
        return True

    def heard(self, raw: Raw, gone: bool) -> None:
        """The watch of what is put aside told of an OctoJob, of which only the metadata is there."""
        meta = raw["metadata"]
        own = self._own.pop(meta["uid"], None) == meta["resourceVersion"]
        if self.accepting and (gone or not own):
            self._review(raw)

    def doubt(self, raw: Raw) -> None:
        """An OctoJob left the view of the main watch, and may be gone; ``raw`` is then its last version."""
        if not self.accepting:
            return
        self._last[raw["metadata"]["uid"]] = raw
        while len(self._last) > MOST_PENDING:
            self._last.popitem(last=False)
        self._review(raw)

    def _review(self, raw: Raw) -> None:
        self._names[raw["metadata"]["uid"]] = raw["metadata"]["name"]
        self.queue.add((Step.REVIEW, raw["metadata"]["uid"]))

    async def _visit(self, key: tuple[Step, str]) -> float | None:
        step, which = key
        try:
            if step is Step.REVIEW:
                await self._look_at(which)
                return None
            after = await self._put_aside(which)
        except OctoError as error:
            raise RetryLaterError(f"{error.code}: {error.detail}") from error
        await asyncio.sleep(1.0 / pace(self.queue.depth) if self._busy() else PAUSE_SECONDS)
        return after

    async def _put_aside(self, name: str) -> float | None:
        job = self._world.jobs.get(name)
        if job is None or not self._projector.holds(job.meta.uid, job.meta.resource_version):
            return None  # Gone, or it changed: that it is committed brings it back.
        if not _is_archived(job) or job.meta.deletion_timestamp is not None:
            return None
        if self._due(job) - self._clock() <= self._kept:
            return None
        children = self._world.children.find("owner", job.meta.uid)
        if any(child.deletion is None and not child.finished for child in children):
            return self._after or 1.0
        label = {"metadata": {"labels": {LABEL_ARCHIVED: "true"}}}
        for child in children:
            # Before it: ending in between, this comes back to an OctoJob that is still in view.
            self.writes += 1
            with contextlib.suppress(NotFoundError):
                await self._client.patch(JOBS, self._namespace, child.name, label)
            self._world.children.forget(child.name, child.uid)
        rest = [each for each in job.meta.finalizers if each != ARCHIVE_FINALIZER]
        meta = {**label["metadata"], "resourceVersion": job.meta.resource_version, "finalizers": rest}
        self.writes += 1
        raw = await self._client.patch(OCTOJOBS, self._namespace, name, {"metadata": meta})
        self._own[raw["metadata"]["uid"]] = raw["metadata"]["resourceVersion"]
        while len(self._own) > OWN_WRITES:
            self._own.popitem(last=False)
        self._wrote(raw)
        self._world.put_aside(raw)
        self._projector.offer(raw)
        return None

    async def _look_at(self, uid: str) -> None:
        name = self._names.pop(uid, None)
        if name is None:
            return  # It was looked at since this visit was planned.
        try:
            await self._look(name, uid)
        except OctoError:
            self._names[uid] = name
            raise

    async def _look(self, name: str, uid: str) -> None:
        try:
            raw = await self._client.get(OCTOJOBS, self._namespace, name)
        except NotFoundError:
            raw = {"metadata": {"uid": ""}}
        last = self._last.pop(uid, None)
        if raw["metadata"]["uid"] != uid:
            if last is not None:
                self._projector.offer(last)
            self._projector.gone(uid)
            return
        if not is_put_aside(raw):
            return  # The other watch has it again.
        self._projector.offer(raw)
        if not _rests(raw):
            # By somebody else's hand: it is not over, or waits for a finalizer of ours. So it comes back into view.
            body = {"resourceVersion": raw["metadata"]["resourceVersion"], "labels": {LABEL_ARCHIVED: None}}
            self.writes += 1
            await self._client.patch(OCTOJOBS, self._namespace, name, {"metadata": body})
        elif self._expired(raw):
            self.writes += 1
            await self._client.delete(OCTOJOBS, self._namespace, name, uid=uid)

    def _expired(self, raw: Raw) -> bool:
        if "deletionTimestamp" in raw["metadata"]:
            return False
        try:
            return self._clock() >= self._due(parse_job(raw))
        except InvalidError:
            return False

    def _due(self, job: OctoJob) -> datetime:
        """When its time to live is over."""
        entry = self._world.providers.get(job.spec.provider_ref.name)
        ttl = resolve_options(job.spec, entry.provider.spec if entry and entry.provider else None).ttl
        succeeded = job.status.state is State.SUCCEEDED
        seconds = ttl.after_success_seconds if succeeded else ttl.after_failure_seconds
        return (job.status.completion_time or self._clock()) + timedelta(seconds=seconds)


def _rests(raw: Raw) -> bool:
    """Whether an OctoJob is over and archived, and nothing waits for the finalizer that holds it."""
    meta, status = raw["metadata"], raw.get("status") or {}
    if "deletionTimestamp" in meta and ARCHIVE_FINALIZER in meta.get("finalizers", ()):
        return False
    return status.get("state") in _TERMINAL and any(
        c["type"] == ConditionType.ARCHIVED and c["status"] == ConditionStatus.TRUE
        for c in status.get("conditions", ())
    )


def _is_archived(job: OctoJob) -> bool:
    archived = job.status.condition(ConditionType.ARCHIVED)
    over = job.status.state is not None and job.status.state.terminal
    return over and archived is not None and archived.status is ConditionStatus.TRUE


_TERMINAL = frozenset(state.value for state in State if state.terminal)
