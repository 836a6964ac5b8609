"""The composition root: makes the parts, starts them in order, and stops them in the opposite one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from octo_controller.announcer import Announcer
from octo_controller.archivist import Archivist
from octo_controller.engine.queue import WorkQueue
from octo_controller.health import Check, HealthServer, LoopLag, health_app
from octo_controller.intake import ASIDE, Intake
from octo_controller.leadership import Leadership, lease_of, rivals_of
from octo_controller.metrics import Metrics
from octo_controller.mirror.projector import Projector
from octo_controller.mirror.providers import ProviderMirror
from octo_controller.mirror.writer import DatabaseWriter
from octo_controller.namespace import NamespaceWatch
from octo_controller.placement import Placement
from octo_controller.reconcile.act import Actor
from octo_controller.reconcile.loop import Reconciler
from octo_controller.reconcile.manifest import PodSettings
from octo_controller.reconcile.model import Policy
from octo_controller.reconcile.pods import GATHER_SECONDS
from octo_controller.reconcile.world import Key, Kind, World
from octo_controller.settings import ControllerSettings
from octo_controller.watch.door import Door
from octo_controller.watch.streams import Streams
from octo_core.db.mirrors import Claim
from octo_core.db.session import Database
from octo_core.domain.errors import OctoError
from octo_core.domain.status import ConditionStatus, ConditionType, State
from octo_core.kube.client import KubeClient

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

LAG_LIMIT_SECONDS = 10.0
STUCK_SECONDS = 300.0


class Controller:
    """One process that serves one namespace, as its leader or as a standby."""

    def __init__(
        self,
        settings: ControllerSettings,
        client: KubeClient,
        database: Database,
        leadership: Leadership,
        *,
        unfenced: KubeClient,
    ) -> None:
        self._settings = settings
        self._leadership = leadership
        self._stopped = asyncio.Event()
        self._token = secrets.token_hex(16)
        self._failed = False
        self._ready = False
        self._leading = False
        self._lag = LoopLag(beat=leadership.beat)
        self.metrics = Metrics()
        self.queue: WorkQueue[Key] = WorkQueue(
            took=lambda key, seconds: self.metrics.status_lag.labels(key[0].value).observe(seconds)
        )
        self.queue.accepting = False
        writer = DatabaseWriter(
            database, claim=self._claim, clock=_now, fence=leadership.fence, replaced=self._start_over
        )
        self.projector = Projector(
            writer,
            committed=self._committed,
            skipped=self.metrics.skipped_rows.inc,
            took=self.metrics.mirror_delay.observe,
        )
        self.projector.accepting = False
        self._placement = Placement(client, namespace=settings.namespace, share=settings.share)
        self._providers = ProviderMirror(writer, owns=self._placement.owns_provider)
        self.world = World(
            self.queue,
            self.projector,
            capacity=settings.share.part_of(settings.max_active_runs) or None,
            wrote=lambda kind, raw: self.intake.wrote(kind, raw),
            started=self.metrics.submit_to_start.observe,
        )
        self._archivist = Archivist(
            client,
            self.world,
            self.projector,
            namespace=settings.namespace,
            clock=_now,
            busy=lambda: self.queue.depth > 0,
            after_seconds=settings.archive_after_seconds,
            kept_seconds=2 * settings.resync_interval_seconds,
            wrote=lambda raw: self.intake.wrote(ASIDE, raw),
        )
        self.intake = Intake(
            client,
            self.world,
            self.projector,
            self._providers,
            namespace=settings.namespace,
            metrics=self.metrics,
            placement=self._placement,
            archivist=self._archivist,
            identify=lambda: self._namespace.identify(),
        )
        self._door = Door(
            self.intake.event,
            namespace=settings.namespace,
            kubeconfig=settings.kubeconfig,
            on_exit=self._fail,
            selector=settings.share.selector(),
        )
        self._streams = Streams(
            client, self.intake, self._archivist, namespace=settings.namespace, ended=self._part_ended
        )
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
            ended=lambda state: self.metrics.ended.labels(state.value).inc(),
            gather=GATHER_SECONDS,
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
        self._namespace = NamespaceWatch(
            unfenced, settings.namespace, leaving=self.world.leave, leading=lambda: self._leading
        )
        self._watch_metrics()

    async def run(self) -> bool:
        """Serve until ``stop``; False if it ended because a part of it did."""
        settings = self._settings
        app = health_app(self.metrics, live=self._live_checks(), ready=self._ready_checks())
        self.intake.begin()
        lag = asyncio.create_task(self._lag.run(), name="loop lag")
        lag.add_done_callback(self._part_ended)
        namespace = asyncio.create_task(self._namespace.run(), name="namespace")
        namespace.add_done_callback(self._part_ended)
        self._leadership.watch()
        async with HealthServer(app, host=settings.health_host, port=settings.health_port) as health:
            logger.info("serving namespace %s, health on port %d", settings.namespace, health.port)
            work: list[asyncio.Task[None]] = []
            try:
                if await self._before_the_stop(self._stand_by()):
                    await self._before_the_stop(self._take_over(work))
                await self._stopped.wait()
            finally:
                await self._drain(work)
                await self._leadership.leave()
                for task in (lag, namespace):
                    task.remove_done_callback(self._part_ended)
                    task.cancel()
                await asyncio.gather(lag, namespace, return_exceptions=True)
        return not self._failed

    def stop(self) -> None:
        """Ask for a clean stop."""
        self._stopped.set()

    async def _stand_by(self) -> None:
        """Return once this process leads; until then it knows what there is, and is ready to."""
        if await self._leadership.try_lead():
            return
        await self.intake.first_sync()
        self._watch()
        self._ready = True
        await self._leadership.lead()

    async def _take_over(self, work: list[asyncio.Task[None]]) -> None:
        """Begin to act: with a list that has in it whatever the leader before this one wrote."""
        self.queue.accepting = self.projector.accepting = self._archivist.accepting = True
        self.world.since = _now()
        swept = await self.intake.first_sync()
        self._watch()
        self._leading = self._ready = True
        self.queue.start(self._visit, workers=self._settings.reconcile_workers)
        self._archivist.start()
        syncing = self.intake.keep_synced(self._settings.resync_interval_seconds, swept=swept)
        work += [
            asyncio.create_task(self.projector.run(), name="mirror"),
            asyncio.create_task(syncing, name="resync"),
            asyncio.create_task(self._announcer.run(), name="announcer"),
            asyncio.create_task(self._placement.run(), name="placement"),
        ]
        for task in work:
            task.add_done_callback(self._part_ended)

    def _watch(self) -> None:
        """Hear of changes from here on, if that has not begun."""
        self._door.open()
        self._streams.open()

    async def _visit(self, key: Key) -> float | None:
        kind, name = key
        if kind is Kind.PROVIDER and not self._placement.owns_provider(name):
            return None
        return await self._reconciler.visit(key)

    async def _before_the_stop(self, step: Coroutine[Any, Any, None]) -> bool:
        """Do a step; False if the stop came first, and then the step was cut off."""
        task = asyncio.create_task(step)
        stop = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            task.cancel()
            await asyncio.gather(stop, task, return_exceptions=True)
        if not task.cancelled():
            task.result()
        return not self._stopped.is_set()

    async def _drain(self, work: list[asyncio.Task[None]]) -> None:
        """Stop intake, end the work under way, write what the mirror holds."""
        logger.info("stopping")
        await self._door.close()
        await self._streams.close()
        if not await self.queue.close(timeout=self._settings.drain_seconds):
            logger.warning("work was cut off; it is taken up at the next start")
        await self._archivist.queue.close(timeout=0)
        for task in work:
            task.remove_done_callback(self._part_ended)
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        if not await self.projector.drain(timeout=self._settings.drain_seconds / 2):
            logger.warning("%d changes are not mirrored; the next start does it", self.projector.pending)
        if self._leading:
            await self._providers.flush()
        if self._leading and await self._namespace.look():
            await self._let_go()

    async def _let_go(self) -> None:
        """This controller may go with its namespace: release what nobody would release later, and say so."""
        try:
            released = await self._namespace.release_all()
        except OctoError as error:
            logger.error("OctoJobs are left with their finalizer: %s", error.detail)
            return
        logger.warning("released %d OctoJobs, which go with their namespace", len(released))
        for uid in released:
            self.projector.gone(uid)
        await self.projector.drain(timeout=self._settings.drain_seconds / 2)

    def _start_over(self) -> None:
        self.projector.start_over()
        self._providers.start_over()

    def _claim(self) -> Claim:
        share = self._settings.share
        return Claim(self._settings.namespace, f"{share.index}/{share.count}", self._token, cluster=self._namespace.uid)

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
        else:
            self._archivist.committed(raw)

    def _fail(self) -> None:
        self._failed = True
        self._stopped.set()

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            logger.critical("%s has ended", task.get_name(), exc_info=task.exception())
            self._fail()

    def _live_checks(self) -> dict[str, Check]:
        settings, intake = self._settings, self.intake

        def watch() -> str | None:
            if intake.silence() > settings.watch_silence_seconds:
                return f"nothing heard for {intake.silence():.0f} s"
            if intake.behind() > settings.watch_behind_seconds:
                return f"silent about a change of {intake.behind():.0f} s ago"
            return None

        def queue() -> str | None:
            age = self.queue.oldest_age()
            return f"a key waits for {age:.0f} s" if self._leading and age > settings.queue_stuck_seconds else None

        def loop() -> str | None:
            return f"late by {self._lag.seconds:.1f} s" if self._lag.seconds > LAG_LIMIT_SECONDS else None

        return {"watch": watch, "queue": queue, "loop": loop, "lease": self._leadership.unwell}

    def _ready_checks(self) -> dict[str, Check]:
        return {
            "sync": lambda: None if self._ready else "the first list is not complete",
            "stop": lambda: "stopping" if self._stopped.is_set() else None,
        }

    def _watch_metrics(self) -> None:
        watch, projector, lease = self.metrics.watch, self.projector, self._leadership.lease
        watch("queue_depth", lambda: self.queue.depth)
        watch("queue_oldest_seconds", self.queue.oldest_age)
        watch("queue_retries", lambda: self.queue.retries)
        watch("queue_failing", lambda: self.queue.failing)
        watch("mirror_pending", lambda: projector.pending)
        watch("mirror_lag_seconds", projector.lag)
        watch("mirror_up", lambda: float(projector.available))
        watch("watch_age_seconds", self.intake.silence)
        watch("watch_behind_seconds", self.intake.behind)
        watch("loop_lag_seconds", lambda: self._lag.seconds)
        watch("leader", lambda: float(lease.held))
        watch("lease_transitions", lambda: lease.transitions)
        watch("api_writes", lambda: self._actor.counters.writes + self._archivist.writes)
        watch("finalizer_fail_open", lambda: self._actor.counters.unarchived)
        watch("events_written", lambda: self._announcer.written)
        watch("events_dropped", lambda: self._announcer.dropped)
        watch("jobs_stuck", lambda: self.queue.stuck(STUCK_SECONDS))
        watch("jobs_stalled", self.world.stalled)
        self.metrics.watch_provider("last_success", self.world.last_successes)
        self.metrics.watch_provider("last_tick", self.world.last_ticks)
        self.metrics.watch_provider("next_tick", self.world.next_ticks)
        self.metrics.watch_states(self.world.states)


_TERMINAL = frozenset(state.value for state in State if state.terminal)


def _now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def controller(settings: ControllerSettings) -> AsyncIterator[Controller]:
    """A controller with its connections, which are closed at the end."""
    database = Database(settings, application_name="octo-controller")
    try:
        # Connections of its own, so that a renewal never waits behind other requests.
        async with await KubeClient.connect(settings.kubeconfig) as lease_client:
            leadership = Leadership(
                lease_of(settings, lease_client),
                rivals_of(settings, lease_client),
                blocked_after=settings.loop_blocked_seconds,
                look_every=settings.lease_retry_seconds,
            )
            async with await KubeClient.connect(settings.kubeconfig, fence=leadership.fence) as client:
                yield Controller(settings, client, database, leadership, unfenced=lease_client)
    finally:
        await database.close()


async def serve(settings: ControllerSettings) -> bool:
    """Run one until SIGTERM or SIGINT; False if it ended by a failure. A second signal ends the process at once."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop: Callable[[], None] = told.set

    def on_signal(number: int) -> None:
        if told.is_set():
            logger.warning("told to stop twice: ending at once")
            os._exit(128 + number)
        told.set()
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    async with controller(settings) as running:
        stop = running.stop
        if told.is_set():
            return True
        return await running.run()
