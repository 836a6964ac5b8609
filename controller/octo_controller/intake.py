"""What is heard and what is listed reaches the world, and with it the queue and the mirror."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from octo_controller.archivist import Archivist, Parting, is_put_aside, parting
from octo_controller.engine.cache import Cache, version_of
from octo_controller.engine.follow import Follower
from octo_controller.engine.resync import Listing, Page, Resync
from octo_controller.metrics import Metrics
from octo_controller.mirror.projector import Projector
from octo_controller.mirror.providers import ProviderMirror
from octo_controller.placement import Placement
from octo_controller.reconcile.world import Kind, World
from octo_core.domain.errors import OctoError
from octo_core.domain.names import LABEL_ARCHIVED, LABEL_JOB_UID
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS, OCTOJOBS, OCTOPROVIDERS, Resource

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

ASIDE = "OctoJob put aside"
"""What the second watch of OctoJobs follows, beside the kinds."""
RETRY_SECONDS = 5.0
SWEEP_RETRY_SECONDS = 30.0
LISTED_WHEN_BEHIND_SECONDS = 60.0
"""After that long, what a watch keeps to itself is listed. Longer than kopf takes to notice a dead stream."""

_RESOURCES = {
    Kind.PROVIDER: (OCTOPROVIDERS, ""),
    Kind.CHILD: (JOBS, f"{LABEL_JOB_UID},!{LABEL_ARCHIVED}"),
    Kind.JOB: (OCTOJOBS, ""),
}
"""What is listed, by label selector. OctoJobs last, so that what they refer to is known by then; also those that are
put aside, which are looked at and not kept."""


class Intake:
    """Takes in one namespace, by watch events and by lists."""

    def __init__(
        self,
        client: KubeClient,
        world: World,
        projector: Projector,
        providers: ProviderMirror,
        *,
        namespace: str,
        metrics: Metrics,
        placement: Placement,
        archivist: Archivist,
        identify: Callable[[], Awaitable[None]],
    ) -> None:
        self._archivist = archivist
        self._placement = placement
        self._identify = identify
        self._client = client
        self._world = world
        self._projector = projector
        self._providers = providers
        self._namespace = namespace
        self._metrics = metrics
        self._heard_at = 0.0
        self._followers = {followed: Follower(_monotonic) for followed in (*map(str, _RESOURCES), ASIDE)}
        self._resyncs = {kind: self._resync_of(kind) for kind in _RESOURCES}
        self._newest: dict[str, int] = {}
        self._rows: dict[str, int] | None = None
        self._complete = True
        self._syncing = asyncio.Lock()
        self.versions: dict[Kind, int] = {}
        """At which resourceVersion each kind was listed last."""
        self.synced = False
        """Whether everything has been listed once."""

    def begin(self) -> None:
        """From now on silence counts."""
        self._heard_at = _monotonic()

    def event(self, kind: str, raw: Raw, gone: bool) -> None:
        """Take in what a watch told."""
        self._heard_at = _monotonic()
        self._metrics.events.labels(kind).inc()
        self._followers[kind].heard(version_of(raw))
        if kind == Kind.JOB and not self._placement.takes(raw, gone=gone):
            self._world.left(raw["metadata"]["name"], raw["metadata"]["uid"])
        elif gone and kind == Kind.JOB:
            self._parted(raw)
        elif gone:
            self._gone(Kind(kind), raw["metadata"]["name"], raw["metadata"]["uid"])
        else:
            self._saw(Kind(kind), raw)

    def reached(self, followed: str, version: int) -> None:
        """A watch has told of all there was up to ``version``: it began there, or a bookmark says so."""
        self._heard_at = _monotonic()
        self._followers[followed].heard(version)

    def wrote(self, followed: str, raw: Raw) -> None:
        """A write of ours was answered with ``raw``: its watch owes us this version."""
        self._followers[followed].expect(version_of(raw))

    def silence(self) -> float:
        """Seconds since anything was heard, be it that nothing changed, or listed."""
        return _monotonic() - self._heard_at

    def behind(self) -> float:
        """Seconds since the oldest change that is known, and that its watch has not told of."""
        return max(follower.behind() for follower in self._followers.values())

    async def first_sync(self) -> bool:
        """Return once everything was listed; the answer of ``sync``."""
        while True:
            try:
                return await self.sync()
            except OctoError as error:
                logger.warning("the first list failed: %s", error.detail)
                await asyncio.sleep(RETRY_SECONDS)

    async def sync(self) -> bool:
        """List all kinds, and mark the rows whose OctoJob is gone; False if Postgres was away for that, or
        has yet to take more than may wait."""
        async with self._syncing:
            return await self._sync()

    async def _sync(self) -> bool:
        try:
            # Before the rows are read: those of another cluster are none of these OctoJobs'.
            await self._identify()
            # Read before the list: a row that comes later is not taken for one without an OctoJob.
            rows = await self._projector.live()
            self._rows, self._complete = rows, True
            if rows is not None:
                # All that is listed from here on is offered.
                self._projector.incomplete = False
            listings = {kind: await self._run(kind) for kind in self._resyncs}
        except OctoError:
            self._metrics.resyncs.labels("failed").inc()
            raise
        self._metrics.resyncs.labels("ok").inc()
        self._heard_at = _monotonic()
        self._world.visit_all()
        lost = set(rows or ()) - listings[Kind.JOB].uids
        if lost and not self._placement.share.whole:
            # What is not this controller's may be another's, or on its way to one.
            async for page in self._pages(OCTOJOBS, label_selector=""):
                lost -= {raw["metadata"]["uid"] for raw in page.items}
        for uid in lost:
            self._projector.gone(uid)
        self.synced = True
        return rows is not None and self._complete

    async def relist(self, kind: Kind) -> int:
        """List one kind, whose watch missed something; the list's version. Raises what the API server answers."""
        if kind is Kind.JOB:
            await self.sync()
            return self.versions[kind]
        listing = await self._run(kind)
        self._heard_at = _monotonic()
        return listing.version

    def watched(self, kind: Kind) -> tuple[Resource, str]:
        """Where a kind is, and the label selector of what is taken in of it."""
        resource, selector = _RESOURCES[kind]
        if kind is not Kind.PROVIDER:
            selector = ",".join(filter(None, (selector, self._placement.share.selector())))
        return resource, selector

    async def keep_synced(self, interval: float, *, swept: bool) -> None:
        """List again every ``interval`` seconds, sooner if a watch is behind, until cancelled."""
        due = _monotonic() + (interval if swept else min(interval, SWEEP_RETRY_SECONDS))
        while True:
            await asyncio.sleep(min(RETRY_SECONDS, max(0.0, due - _monotonic())))
            await self._projector.look()
            if self._projector.incomplete:
                due = _monotonic()
            await self._providers.flush()
            late = self.behind() > LISTED_WHEN_BEHIND_SECONDS
            if _monotonic() < due and not late:
                continue
            if late:
                logger.warning("a watch is silent about a change of %.0f s ago; listing", self.behind())
            try:
                swept = await self.sync()
            except OctoError as error:
                logger.warning("a resync failed: %s", error.detail)
                swept = False
            due = _monotonic() + (interval if swept else min(interval, SWEEP_RETRY_SECONDS))
            if late:
                await asyncio.sleep(min(interval, SWEEP_RETRY_SECONDS))

    def _resync_of(self, kind: Kind) -> Resync[Any]:
        resource, selector = self.watched(kind)
        share = self._placement.share
        caches: dict[Kind, Cache[Any]] = {
            Kind.PROVIDER: self._world.providers,
            Kind.CHILD: self._world.children,
            Kind.JOB: self._world.jobs,
        }
        return Resync(
            caches[kind],
            pages=lambda: self._pages(resource, label_selector=selector),
            seen=lambda raw: self._take_in(kind, raw),
            gone=lambda name, uid: (
                self._world.left(name, uid) if kind is Kind.JOB and not share.whole else self._gone(kind, name, uid)
            ),
        )

    async def _run(self, kind: Kind) -> Listing:
        """List one kind, and compare it with what its watches told."""
        followed = (kind, ASIDE) if kind is Kind.JOB else (kind,)
        self._newest |= dict.fromkeys(followed, -1)
        listing = await self._resyncs[kind].run()
        self.versions[kind] = listing.version
        for each in followed:
            self._followers[each].settle(self._newest[each])
        return listing

    def _take_in(self, kind: Kind, raw: Raw) -> None:
        """What is listed; one that nobody can make anything of keeps no other from being taken in."""
        try:
            self._listed(kind, raw)
        except Exception:
            logger.exception("%s %s was not taken in", kind, raw["metadata"]["name"])

    def _listed(self, kind: Kind, raw: Raw) -> None:
        name, uid = raw["metadata"]["name"], raw["metadata"]["uid"]
        if kind is Kind.JOB and is_put_aside(raw):
            self._newest[ASIDE] = max(self._newest[ASIDE], version_of(raw))
            self._world.put_aside(raw)
            if self._placement.takes(raw, gone=False):
                mirrored = None if self._rows is None else self._rows.get(uid, -1)
                self._complete &= self._archivist.listed(raw, mirrored=mirrored)
            return
        self._newest[kind] = max(self._newest[kind], version_of(raw))
        if kind is Kind.JOB and not self._placement.takes(raw, gone=False):
            self._world.left(name, uid)
            return
        self._saw(kind, raw)
        if kind is Kind.JOB:
            # Also what is no news: a standby has it, and has told the mirror nothing.
            self._projector.offer(raw)

    def _parted(self, raw: Raw) -> None:
        """The watch told of an OctoJob for the last time: it left its selector, or is gone."""
        name, uid = raw["metadata"]["name"], raw["metadata"]["uid"]
        match parting(raw):
            case Parting.LEFT:
                self._world.put_aside(raw)
            case Parting.UNSURE:
                self._world.left(name, uid)
                self._archivist.doubt(raw)
            case Parting.GONE:
                # Its last version first: what the finalizer let go is the final word on the run.
                self._world.saw(Kind.JOB, raw)
                self._gone(Kind.JOB, name, uid)

    def _saw(self, kind: Kind, raw: Raw) -> None:
        self._world.saw(kind, raw)
        if kind is Kind.PROVIDER:
            self._providers.saw(raw)

    def _gone(self, kind: Kind, name: str, uid: str) -> None:
        self._world.gone(kind, name, uid)
        if kind is Kind.PROVIDER:
            self._providers.gone(name)

    async def _pages(self, resource: Resource, *, label_selector: str) -> AsyncIterator[Page]:
        token, version = "", 0
        while True:
            page = await self._client.list_page(
                resource, self._namespace, label_selector=label_selector, continue_token=token
            )
            version = version or int(page["metadata"]["resourceVersion"])
            yield Page(page["items"], version)
            token = page["metadata"].get("continue", "")
            if not token:
                return


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
