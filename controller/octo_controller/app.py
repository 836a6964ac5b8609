"""The composition root: makes the parts, starts them in order, and stops them in the opposite one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from octo_controller.announcer import Announcer
from octo_controller.engine.queue import WorkQueue
from octo_controller.engine.resync import Listing, Resync
from octo_controller.health import Check, HealthServer, LoopLag, health_app
from octo_controller.metrics import Metrics
from octo_controller.mirror.projector import Projector
from octo_controller.mirror.writer import DatabaseWriter
from octo_controller.reconcile.act import Actor
from octo_controller.reconcile.loop import Reconciler
from octo_controller.reconcile.manifest import PodSettings
from octo_controller.reconcile.model import Policy
from octo_controller.reconcile.world import Key, Kind, World
from octo_controller.settings import ControllerSettings
from octo_controller.watch.door import Door
from octo_core.db.session import Database
from octo_core.domain.errors import OctoError
from octo_core.domain.names import LABEL_JOB_UID
from octo_core.domain.status import ConditionStatus, ConditionType, State
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS, OCTOJOBS, OCTOPROVIDERS, Resource

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
SWEEP_RETRY_SECONDS = 30.0
LAG_LIMIT_SECONDS = 10.0


class Controller:
    """One process that serves one namespace."""

    def __init__(self, settings: ControllerSettings, client: KubeClient, database: Database) -> None:
        self._settings = settings
        self._client = client
        self._stopped = asyncio.Event()
        self._failed = False
        self._synced = False
        self._heard_at = 0.0
        self._lag = LoopLag()
        self.metrics = Metrics()
        self.queue: WorkQueue[Key] = WorkQueue()
        self.projector = Projector(
            DatabaseWriter(database, namespace=settings.namespace, clock=_now),
            committed=self._committed,
            skipped=self.metrics.skipped_rows.inc,
        )
        self.world = World(self.queue, self.projector, capacity=settings.max_active_runs or None)
        self._announcer = Announcer(client, namespace=settings.namespace, clock=_now)
        self._actor = Actor(
            client,
            self.world,
            namespace=settings.namespace,
            pods=PodSettings(
                image=settings.worker_image,
                image_pull_policy=settings.worker_image_pull_policy,
                service_account=settings.worker_service_account,
                report_url=settings.report_url,
            ),
            announce=self._announcer.announce,
        )
        self._reconciler = Reconciler(
            self.world,
            self._actor,
            policy=Policy(
                cancel_force_after_seconds=settings.cancel_force_after_seconds,
                archive_fail_open_seconds=settings.archive_fail_open_seconds,
                stalled_after_seconds=settings.stalled_after_seconds,
            ),
            clock=_now,
            metrics=self.metrics,
        )
        self._resyncs = (
            Resync(
                self.world.providers,
                listing=lambda: self._list(OCTOPROVIDERS),
                seen=lambda raw: self.world.saw(Kind.PROVIDER, raw),
                gone=lambda name, uid: self.world.gone(Kind.PROVIDER, name, uid),
            ),
            Resync(
                self.world.children,
                listing=lambda: self._list(JOBS, label_selector=LABEL_JOB_UID),
                seen=lambda raw: self.world.saw(Kind.CHILD, raw),
                gone=lambda name, uid: self.world.gone(Kind.CHILD, name, uid),
            ),
        )
        self._job_resync = Resync(
            self.world.jobs,
            listing=lambda: self._list(OCTOJOBS),
            seen=lambda raw: self.world.saw(Kind.JOB, raw),
            gone=lambda name, uid: self.world.gone(Kind.JOB, name, uid),
        )
        self._watch_metrics()

    async def run(self) -> bool:
        """Serve until ``stop``; False if it ended because a part of it did."""
        settings = self._settings
        app = health_app(self.metrics, live=self._live_checks(), ready=self._ready_checks())
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        async with HealthServer(app, host=settings.health_host, port=settings.health_port) as health:
            logger.info("serving namespace %s, health on port %d", settings.namespace, health.port)
            background = [
                asyncio.create_task(self._lag.run(), name="loop lag"),
                asyncio.create_task(self.projector.run(), name="mirror"),
                asyncio.create_task(self._announcer.run(), name="announcer"),
            ]
            door = Door(self._event, namespace=settings.namespace, kubeconfig=settings.kubeconfig, on_exit=self._fail)
            try:
                swept = await self._first_sync()
                if not self._stopped.is_set():
                    door.open()
                    self.queue.start(self._reconciler.visit, workers=settings.reconcile_workers)
                    background.append(asyncio.create_task(self._resync_forever(swept), name="resync"))
                for task in background:
                    task.add_done_callback(self._part_ended)
                await self._stopped.wait()
            finally:
                await self._drain(door, background)
        return not self._failed

    def stop(self) -> None:
        """Ask for a clean stop."""
        self._stopped.set()

    async def _drain(self, door: Door, background: list[asyncio.Task[None]]) -> None:
        """Stop intake, end the work under way, write what the mirror holds."""
        logger.info("stopping")
        await door.close()
        if not await self.queue.close(timeout=self._settings.drain_seconds):
            logger.warning("work was cut off; it is taken up at the next start")
        for task in background:
            task.remove_done_callback(self._part_ended)
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        if not await self.projector.drain(timeout=self._settings.drain_seconds / 2):
            logger.warning("%d changes are not mirrored; the next start does it", self.projector.pending)

    def _event(self, kind: str, raw: Raw, gone: bool) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        self.metrics.events.labels(kind).inc()
        if gone:
            # Its last version first: what the finalizer let go is the final word on the run.
            if kind == Kind.JOB:
                self.world.saw(Kind.JOB, raw)
            self.world.gone(Kind(kind), raw["metadata"]["name"], raw["metadata"]["uid"])
        else:
            self.world.saw(Kind(kind), raw)

    async def _list(self, resource: Resource, *, label_selector: str = "") -> Listing:
        items: list[Raw] = []
        token, version = "", 0
        while True:
            page = await self._client.list_page(
                resource, self._settings.namespace, label_selector=label_selector, continue_token=token
            )
            items.extend(page["items"])
            version = version or int(page["metadata"]["resourceVersion"])
            token = page["metadata"].get("continue", "")
            if not token:
                return Listing(items, version)

    async def _first_sync(self) -> bool:
        """List everything before anything is decided; the answer of ``_resync``."""
        while not self._stopped.is_set():
            try:
                swept = await self._resync()
            except OctoError as error:
                logger.warning("the first list failed: %s", error.detail)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), RETRY_SECONDS)
                continue
            self._synced = True
            return swept
        return False

    async def _resync(self) -> bool:
        """List all kinds, and mark the rows whose OctoJob is gone; False if Postgres was away for that."""
        try:
            # Read before the list: a row that comes later is not taken for one without an OctoJob.
            rows = await self.projector.live()
            for resync in self._resyncs:
                await resync.run()
            listing = await self._job_resync.run()
        except OctoError:
            self.metrics.resyncs.labels("failed").inc()
            raise
        self.metrics.resyncs.labels("ok").inc()
        self._heard_at = asyncio.get_running_loop().time()
        for raw in listing.items:
            self.projector.offer(raw)
        self.world.visit_all()
        for uid in (rows or set()) - {raw["metadata"]["uid"] for raw in listing.items}:
            self.projector.gone(uid)
        return rows is not None

    async def _resync_forever(self, swept: bool) -> None:
        interval = self._settings.resync_interval_seconds
        while True:
            await asyncio.sleep(interval if swept else min(interval, SWEEP_RETRY_SECONDS))
            try:
                swept = await self._resync()
            except OctoError as error:
                logger.warning("a resync failed: %s", error.detail)
                swept = False

    def _committed(self, raw: Raw) -> None:
        """A version is in Postgres: if it is the last word on a run, the run can be archived or let go."""
        status = raw.get("status") or {}
        if status.get("state") not in _TERMINAL:
            return
        archived = any(
            c["type"] == ConditionType.ARCHIVED and c["status"] == ConditionStatus.TRUE
            for c in status.get("conditions", ())
        )
        if not archived or raw["metadata"].get("deletionTimestamp"):
            self.queue.add((Kind.JOB, raw["metadata"]["name"]))

    def _fail(self) -> None:
        self._failed = True
        self._stopped.set()

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            logger.critical("%s has ended", task.get_name(), exc_info=task.exception())
            self._fail()

    def _silence(self) -> float:
        return asyncio.get_running_loop().time() - self._heard_at

    def _live_checks(self) -> dict[str, Check]:
        settings = self._settings

        def watch() -> str | None:
            return (
                f"nothing heard for {self._silence():.0f} s"
                if self._silence() > settings.watch_silence_seconds
                else None
            )

        def queue() -> str | None:
            age = self.queue.oldest_age()
            return f"a key waits for {age:.0f} s" if self._synced and age > settings.queue_stuck_seconds else None

        def loop() -> str | None:
            return f"late by {self._lag.seconds:.1f} s" if self._lag.seconds > LAG_LIMIT_SECONDS else None

        return {"watch": watch, "queue": queue, "loop": loop}

    def _ready_checks(self) -> dict[str, Check]:
        return {
            "sync": lambda: None if self._synced else "the first list is not complete",
            "stop": lambda: "stopping" if self._stopped.is_set() else None,
        }

    def _watch_metrics(self) -> None:
        watch, projector = self.metrics.watch, self.projector
        watch("queue_depth", "Keys that wait for a worker.", lambda: self.queue.depth)
        watch("queue_oldest_seconds", "Age of the oldest key at hand.", self.queue.oldest_age)
        watch("queue_retries", "Visits that failed so far.", lambda: self.queue.retries)
        watch("mirror_pending", "Changes not yet in Postgres.", lambda: projector.pending)
        watch("mirror_lag_seconds", "Age of the oldest change not yet in Postgres.", projector.lag)
        watch("mirror_up", "Whether the last write to Postgres went through.", lambda: float(projector.available))
        watch("watch_age_seconds", "Since the last event or full list.", self._silence)
        watch("loop_lag_seconds", "How late the event loop is.", lambda: self._lag.seconds)
        watch("api_writes", "Writes to the Kubernetes API so far.", lambda: self._actor.counters.writes)
        watch(
            "finalizer_fail_open",
            "Deleted OctoJobs let go so far without their last state in Postgres.",
            lambda: self._actor.counters.unarchived,
        )
        watch("events_written", "Events about OctoJobs written so far.", lambda: self._announcer.written)
        watch(
            "events_dropped",
            "Events about OctoJobs not written: too many, or refused.",
            lambda: self._announcer.dropped,
        )
        self.metrics.watch_states(self.world.states)


_TERMINAL = frozenset(state.value for state in State if state.terminal)


def _now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def controller(settings: ControllerSettings) -> AsyncIterator[Controller]:
    """A controller with its connections, which are closed at the end."""
    database = Database(settings, application_name="octo-controller")
    try:
        async with await KubeClient.connect(settings.kubeconfig) as client:
            yield Controller(settings, client, database)
    finally:
        await database.close()


async def serve(settings: ControllerSettings) -> bool:
    """Run one until SIGTERM or SIGINT; False if it ended by a failure."""
    async with controller(settings) as running:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.stop)
        return await running.run()
