"""Writes Events about OctoJobs, for ``kubectl describe``: few, aggregated, and never in anybody's way.

The name of an Event follows from what it says, so that a second one, also after a restart, is a count on the first.
Events beyond a rate are dropped and counted; so are those that the API server does not take.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from octo_controller.reconcile.announcements import Announcement, Type
from octo_core.crd.resources import OctoJob
from octo_core.domain.errors import AlreadyExistsError, OctoError
from octo_core.domain.names import API_VERSION
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import EVENTS_V1

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

REPORTER = "octo.dev/controller"
WAITING = 256
WRITE_SECONDS = 10.0


class TokenBucket:
    """Lets ``burst`` pass at once and ``per_second`` from then on. Time is the caller's."""

    def __init__(self, *, burst: int, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._tokens = float(burst)
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more may pass at ``now`` (seconds on any clock that does not go back)."""
        if self._at is not None:
            self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Announcer:
    """Takes announcements at any time, and writes them while ``run`` runs."""

    def __init__(self, client: KubeClient, *, namespace: str, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._instance = socket.gethostname()[:128]
        self._queue: asyncio.Queue[Raw] = asyncio.Queue(WAITING)
        # How runs end is worth less than what hinders them: under load, the first goes unsaid.
        self._buckets = {
            Type.NORMAL: TokenBucket(burst=25, per_second=1.0),
            Type.WARNING: TokenBucket(burst=100, per_second=5.0),
        }
        self.written = 0
        self.dropped = 0

    def announce(self, job: OctoJob, announcement: Announcement) -> None:
        """Have it written, unless there are too many."""
        passes = self._buckets[announcement.type].take(asyncio.get_running_loop().time())
        if not passes or self._queue.full():
            self.dropped += 1
            return
        self._queue.put_nowait(self._event(job, announcement))

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._write(event)
                self.written += 1
            except (OctoError, TimeoutError) as error:
                self.dropped += 1
                logger.info("an Event was not written: %s", error)
            finally:
                self._queue.task_done()

    async def settled(self) -> None:
        """Return once all that was taken is written or dropped."""
        await self._queue.join()

    async def _write(self, event: Raw) -> None:
        try:
            await self._client.create(EVENTS_V1, self._namespace, event)
        except AlreadyExistsError:
            name = event["metadata"]["name"]
            known = await self._client.get(EVENTS_V1, self._namespace, name)
            count = int((known.get("series") or {}).get("count", 1)) + 1
            series = {"count": count, "lastObservedTime": event["eventTime"]}
            await self._client.patch(EVENTS_V1, self._namespace, name, {"series": series})

    def _event(self, job: OctoJob, announcement: Announcement) -> Raw:
        identity = "\0".join((job.meta.uid, announcement.type, announcement.reason, announcement.note))
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{job.meta.name}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}",
                "namespace": job.meta.namespace,
            },
            "eventTime": self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": announcement.type.value,
            "reason": announcement.reason,
            "note": announcement.note,
            "action": "Run",
            "reportingController": REPORTER,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": "OctoJob",
                "namespace": job.meta.namespace,
                "name": job.meta.name,
                "uid": job.meta.uid,
            },
        }
