"""The watches that are Octo's own: of what comes so often that kopf's share of each event would be most of its cost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from octo_controller.archivist import Archivist
from octo_controller.engine.watcher import Raw, Watcher
from octo_controller.intake import ASIDE, Intake
from octo_controller.reconcile.world import Kind
from octo_core.domain.errors import OctoError
from octo_core.domain.names import LABEL_ARCHIVED
from octo_core.kube.client import KubeClient
from octo_core.kube.errors import GoneError

logger = logging.getLogger(__name__)


class Streams:
    """Watches one namespace's Jobs, and the metadata of OctoJobs that are put aside, from the last list on. ``ended``
    is called with a watch that is over, which is only by a fault of it or by ``close``."""

    def __init__(
        self,
        client: KubeClient,
        intake: Intake,
        archivist: Archivist,
        *,
        namespace: str,
        ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._client = client
        self._intake = intake
        self._archivist = archivist
        self._namespace = namespace
        self._ended = ended
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Start to watch, unless it does. The first list must have been made."""
        if self._tasks:
            return
        jobs = self._watcher(
            Kind.CHILD, lambda raw, gone: self._intake.event(Kind.CHILD, raw, gone), followed_as=Kind.CHILD
        )
        aside = self._watcher(
            Kind.JOB, self._archivist.heard, followed_as=ASIDE, but=LABEL_ARCHIVED, metadata_only=True
        )
        for kind, name, watcher in ((Kind.CHILD, "Jobs", jobs), (Kind.JOB, "what is put aside", aside)):
            task = asyncio.create_task(watcher.run(self._intake.versions[kind]), name=f"watch of {name}")
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def close(self) -> None:
        """Stop to watch; returns when no more events come."""
        for task in self._tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _watcher(
        self,
        kind: Kind,
        take: Callable[[Raw, bool], None],
        *,
        followed_as: str,
        but: str = "",
        metadata_only: bool = False,
    ) -> Watcher:
        """Of what is taken in of a kind; ``but`` has one more label that is asked for."""
        resource, selector = self._intake.watched(kind)
        selector = ",".join(filter(None, (but, selector)))

        def sink(raw: Raw, gone: bool) -> None:
            try:
                take(raw, gone)
            except Exception:
                logger.exception("an event of %s was not taken in", kind)

        return Watcher(
            lambda since: self._client.watch(
                resource, self._namespace, since=since, label_selector=selector, metadata_only=metadata_only
            ),
            sink,
            relist=lambda: self._intake.relist(kind),
            gaps=(GoneError,),
            passing=(OctoError,),
            reached=lambda version: self._intake.reached(followed_as, version),
        )
