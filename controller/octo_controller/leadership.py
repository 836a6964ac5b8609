"""Who acts: the Lease of this controller, the fence before each write, and the end of one who lost the Lease."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

from octo_controller.engine.lease import Lease, LeaseLostError
from octo_controller.engine.watchdog import Watchdog
from octo_controller.rivals import Rivals, lease_labels, lease_name
from octo_controller.settings import ControllerSettings
from octo_core.domain.errors import NotFoundError, OctoError
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import LEASES

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

LEASE_LOST = 3
"""Exit code of a controller that lost its Lease, or whose event loop was blocked."""


class KubeLeaseStore:
    """The Lease of one name in the API server."""

    def __init__(self, client: KubeClient, *, namespace: str, name: str, labels: dict[str, str]) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._labels = labels

    async def read(self) -> Raw | None:
        try:
            return await self._client.get(LEASES, self._namespace, self._name)
        except NotFoundError:
            return None

    async def create(self, spec: Raw) -> Raw:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "labels": self._labels},
            "spec": spec,
        }
        return await self._client.create(LEASES, self._namespace, body)

    async def write(self, spec: Raw, version: str) -> Raw:
        body = {"metadata": {"resourceVersion": version, "labels": self._labels}, "spec": spec}
        return await self._client.patch(LEASES, self._namespace, self._name, body)


def lease_of(settings: ControllerSettings, client: KubeClient) -> Lease:
    """The candidate that this process is."""
    return Lease(
        KubeLeaseStore(
            client,
            namespace=settings.namespace,
            name=lease_name(settings.lease_name, settings.share),
            labels=lease_labels(settings.lease_name, settings.share),
        ),
        identity=settings.identity or f"{socket.gethostname()}_{uuid.uuid4()}",
        times=settings.lease_times,
        clock=sleepless_clock,
        wall=lambda: datetime.now(UTC),
    )


def rivals_of(settings: ControllerSettings, client: KubeClient) -> Rivals:
    """Those of another number of shards."""
    return Rivals(
        client,
        namespace=settings.namespace,
        release=settings.lease_name,
        share=settings.share,
        patience=settings.lease_duration_seconds,
        clock=sleepless_clock,
    )


def sleepless_clock() -> float:
    """Seconds that go on while the machine sleeps: a laptop's lid, a virtual machine that is moved."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def end_process(why: str) -> NoReturn:
    """End at once: no write that waits may still go out, so nothing is closed or drained."""
    logger.critical("ending at once: %s", why)
    with contextlib.suppress(Exception):
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        sys.stderr.flush()
    os._exit(LEASE_LOST)


class Leadership:
    """Holds the Lease for the process. ``end`` is called with the reason, from any thread, and is not to return:
    tests may have it return."""

    def __init__(
        self,
        lease: Lease,
        rivals: Rivals,
        *,
        end: Callable[[str], object] = end_process,
        blocked_after: int = 60,
        look_every: float = 2.0,
    ) -> None:
        self.lease = lease
        self._rivals = rivals
        self._look_every = look_every
        self._end = end
        self._watchdog = Watchdog(check=self._overdue, bite=end, blocked_after=blocked_after)
        self._keeping: asyncio.Task[None] | None = None

    def fence(self) -> None:
        """Called right before each write of what the Lease protects. Raises LeaseLostError."""
        if self.lease.lost:
            self._end("a write came up without the lease")
        if not self.lease.held:
            raise LeaseLostError("this controller does not hold the lease")

    def beat(self) -> None:
        """The event loop runs."""
        self._watchdog.beat()

    def watch(self) -> None:
        """Have a thread end the process when the event loop is blocked, or the Lease runs out unnoticed."""
        self._watchdog.start()

    async def try_lead(self) -> bool:
        """Take the Lease if it is free, and renew it from then on; whether this process may act at once."""
        if not await self.lease.try_acquire():
            logger.info("standing by; the leader is %s", self.lease.holder or "unknown")
            return False
        self._begin()
        try:
            return not await self._rivals.acting()
        except OctoError:
            return False

    async def lead(self) -> None:
        """Return once this process may act: the Lease is held, and renewed from then on, and no rival acts."""
        if self._keeping is None:
            await self.lease.acquire()
            self._begin()
        await self._rivals.gone(every=self._look_every)
        logger.info("leading")

    async def leave(self) -> None:
        """Let go of the Lease, as the last thing before a clean end."""
        await asyncio.to_thread(self._watchdog.stop)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            if await self.lease.release():
                logger.info("the lease is released")

    def unwell(self) -> str | None:
        """What is wrong with the Lease, for the liveness probe."""
        return "the lease is lost" if self.lease.lost else None

    def _begin(self) -> None:
        self._keeping = asyncio.create_task(self._keep(), name="lease")

    async def _keep(self) -> None:
        try:
            await self.lease.keep()
        except Exception as error:  # noqa: BLE001 - without renewal there is no lease, for whatever reason
            self._end(str(error))

    def _overdue(self) -> str | None:
        return "the lease was not renewed in time" if self.lease.lost else None
