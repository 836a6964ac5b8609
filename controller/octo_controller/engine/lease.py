"""Leadership by a ``Lease`` of coordination.k8s.io/v1: of all candidates at most one acts at any moment.

What that rests on, and nothing else does it:

* A holder counts its time from the moment *before* it sent the write that was answered, on a clock that goes
  on while the process or the machine sleeps; it stops acting ``renew_within`` seconds later. A candidate
  counts from the moment *after* it first read a version, and waits ``duration`` seconds, the holder's own.
  Wall clocks are written for people and never compared.
* Every write is conditional on the version that was read, so a takeover can only replace the very version
  that was seen to stand still.
* Any error and any timeout is a failed attempt. After one, the holder reads the Lease before it writes again:
  the write may have gone through, and another may hold it by now.
* A tenure is a holder *and* its acquireTime: a second process under the same name is another holder.
* What was lost stays lost: the process has to end, since nobody can say which of its writes are under way.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Raw = dict[str, Any]
logger = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """The Lease is not held, or not for sure; nothing that it protects may be done any more."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """In seconds. Raises ValueError if they leave no room for a second attempt, or for writes under way."""

    duration: float = 15.0
    """How long others respect a version of the Lease that does not change."""
    renew_within: float = 10.0
    """How long the holder acts on a renewal. The rest of ``duration`` is for what was sent before and is under way."""
    retry: float = 2.0
    """Between attempts to renew or to acquire."""
    request: float = 4.0
    """For one request."""

    def __post_init__(self) -> None:
        if not self.renew_within < self.duration:
            raise ValueError("the lease's duration has to be longer than the time within which it is renewed")
        if not 2 * self.retry < self.renew_within:
            raise ValueError("the lease has to be renewed within more than twice the time between attempts")
        if self.retry <= 0 or self.request <= 0 or self.duration < 1:
            raise ValueError("the lease's times have to be positive, and its duration at least a second")


class LeaseStore(Protocol):
    """Where the Lease is. Whatever a call raises is a failed attempt."""

    async def read(self) -> Raw | None:
        """The Lease, or None if there is none."""

    async def create(self, spec: Raw) -> Raw:
        """Make it; fails if there is one."""

    async def write(self, spec: Raw, version: str) -> Raw:
        """Replace its spec; fails if its resourceVersion is another."""


class Lease:
    """One candidate. ``clock`` goes on while the machine sleeps; ``wall`` is what others read in the Lease.

    ``held`` may be read from any thread; all else belongs to one event loop.
    """

    def __init__(
        self,
        store: LeaseStore,
        *,
        identity: str,
        times: LeaseTimes,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._identity = identity
        self._times = times
        self._clock = clock
        self._wall = wall
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._seen: Raw | None = None
        self._seen_at = 0.0
        self._tenure: Raw | None = None
        self._version: str | None = None
        self._until = 0.0
        self._lost = False

    @property
    def held(self) -> bool:
        """Whether this candidate may act right now. Once false after true, false for good."""
        return self._tenure is not None and not self._lost and self._clock() < self._until

    @property
    def lost(self) -> bool:
        """Whether it was held and is not any more, without having been released."""
        return self._tenure is not None and not self.held

    @property
    def holder(self) -> str:
        """Who holds it, as far as is known; empty if nobody does."""
        return str((self._seen or {}).get("holderIdentity") or "")

    @property
    def transitions(self) -> int:
        """How often it has changed hands, as far as is known."""
        return int((self._seen or {}).get("leaseTransitions") or 0)

    async def acquire(self) -> None:
        """Return once it is held."""
        while True:
            if await self.try_acquire():
                return
            await asyncio.sleep(self._until_next_try())

    async def try_acquire(self) -> bool:
        """One attempt to take it; False if another holds it or anything went wrong."""
        try:
            async with asyncio.timeout(self._times.request):
                return await self._take()
        except Exception as error:  # noqa: BLE001 - whatever it is, the lease is not taken
            logger.warning("the lease could not be taken: %s", _said(error))
            return False

    async def keep(self) -> None:
        """Renew it until cancelled. Raises LeaseLostError as soon as it may not be held any more."""
        while True:
            await asyncio.sleep(max(0.0, min(self._jittered(0.8, 1.0), self._left())))
            left = self._left()
            if left <= 0:
                raise self._loss("it was not renewed in time")
            try:
                async with asyncio.timeout(min(self._times.request, left)):
                    await self._renew()
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the lease is not renewed
                logger.warning("the lease was not renewed: %s", _said(error))
                self._version = None

    async def release(self) -> bool:
        """Let go of it, so that another need not wait; False if that did not work, and then it runs out.

        To be called after everything that it protects has ended, and after ``keep`` was cancelled.
        """
        while self.held:
            try:
                async with asyncio.timeout(min(self._times.request, self._left())):
                    version = self._version or await self._own_version()
                    self._saw(await self._store.write({**self._spec(), "holderIdentity": ""}, version))
            except LeaseLostError:
                return False
            except Exception as error:  # noqa: BLE001 - whatever it is, the lease is not released
                logger.warning("the lease was not released: %s", _said(error))
                self._version = None
                await asyncio.sleep(min(self._jittered(0.1, 0.2), max(0.0, self._left())))
            else:
                self._tenure = None
                return True
        return False

    async def _take(self) -> bool:
        raw = await self._store.read()
        if raw is not None:
            self._saw(raw)
        # Also if somebody deleted it: its holder acts on until it notices.
        if self.holder not in ("", self._identity) and self._expires_in() > 0:
            return False
        # Of a holder of this name only an earlier life of this very pod is left, and that is over.
        started = self._clock()
        now = rfc3339_micro(self._wall())
        changed = self.holder != self._identity and raw is not None
        self._tenure = None
        tenure = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._times.duration)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": self.transitions + changed,
        }
        written = await (
            self._store.create(tenure)
            if raw is None
            else self._store.write(tenure, str(raw["metadata"]["resourceVersion"]))
        )
        self._saw(written)
        self._tenure = tenure
        self._extend(started, written)
        return self.held

    async def _renew(self) -> None:
        version = self._version or await self._own_version()
        started = self._clock()
        written = await self._store.write(self._spec(), version)
        self._saw(written)
        self._extend(started, written)
        if not self.held:
            raise self._loss("the answer to its renewal came too late")

    async def _own_version(self) -> str:
        """The Lease's version if it is still this tenure's. Raises LeaseLostError."""
        raw = await self._store.read()
        if raw is None:
            raise self._loss("it is gone")
        self._saw(raw)
        spec, tenure = raw.get("spec") or {}, self._tenure or {}
        if any(spec.get(field) != tenure.get(field) for field in ("holderIdentity", "acquireTime")):
            raise self._loss(f"{self.holder or 'nobody'} holds it now")
        return str(raw["metadata"]["resourceVersion"])

    def _spec(self) -> Raw:
        return {**(self._tenure or {}), "renewTime": rfc3339_micro(self._wall())}

    def _extend(self, started: float, written: Raw) -> None:
        self._version = str(written["metadata"]["resourceVersion"])
        self._until = started + self._times.renew_within

    def _saw(self, raw: Raw) -> None:
        spec = raw.get("spec") or {}
        if spec != self._seen:
            self._seen, self._seen_at = spec, self._clock()

    def _loss(self, why: str) -> LeaseLostError:
        self._lost = True
        return LeaseLostError(f"the lease is lost: {why}")

    def _left(self) -> float:
        """Seconds until the holder has to stop."""
        return self._until - self._clock()

    def _expires_in(self) -> float:
        """Seconds until a candidate may take what another holds."""
        promised = float((self._seen or {}).get("leaseDurationSeconds") or 0)
        return self._seen_at + max(promised, self._times.duration) - self._clock()

    def _until_next_try(self) -> float:
        pause = self._jittered(0.8, 1.2)
        # Not a retry later than need be: a candidate knows when the holder's time is up.
        return min(pause, max(0.05, self._expires_in())) if self.holder else pause

    def _jittered(self, low: float, high: float) -> float:
        return self._times.retry * self._rng.uniform(low, high)


def rfc3339_micro(moment: datetime) -> str:
    """A Kubernetes MicroTime, in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
