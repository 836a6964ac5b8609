"""A work queue of keys: each waits once, runs once at a time, and runs again if it was asked for meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
logger = logging.getLogger(__name__)


class RetryLaterError(Exception):
    """Raised by a handler for a failure that is no fault of its own: the key comes back, without a trace."""


class WorkQueue(Generic[K]):
    """Keys to be worked on by a bounded number of workers.

    The handler returns the seconds after which the key is to be visited again, or None. If it raises,
    the key comes back after an exponential, jittered delay, which a success resets. Time is the event
    loop's. Not thread-safe: all methods belong to the loop that runs the workers. ``took`` is called with a key that
    was visited well and the seconds since it was added.
    """

    def __init__(
        self,
        *,
        base_delay: float = 0.2,
        max_delay: float = 60.0,
        rng: random.Random | None = None,
        took: Callable[[K, float], None] = lambda key, seconds: None,
    ) -> None:
        self._base_delay = base_delay
        self._max_delay = max_delay
        self._took = took
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._ready: OrderedDict[K, float] = OrderedDict()
        self._processing: dict[K, float] = {}
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._failing_since: dict[K, float] = {}
        # Counts the ready keys, so that a worker sleeps until there is one for it.
        self._tickets = asyncio.Semaphore(0)
        self._idle = asyncio.Event()
        self._idle.set()
        self._workers: list[asyncio.Task[None]] = []
        self._closed = False
        self.accepting = True
        """Whether keys are taken. A standby works on none: who takes over visits all there is."""
        self.retries = 0
        """How often a handler has raised."""

    def add(self, key: K) -> None:
        """Visit ``key`` as soon as a worker is free; again if it is being worked on right now."""
        if self._closed or not self.accepting or key in self._ready:
            return
        if key in self._processing:
            self._again.add(key)
            return
        self._ready[key] = asyncio.get_running_loop().time()
        self._idle.clear()
        self._tickets.release()

    def add_after(self, key: K, delay: float) -> None:
        """Visit ``key`` in ``delay`` seconds, unless an earlier visit is planned, which then counts."""
        if self._closed or not self.accepting:
            return
        if delay <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + delay:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(delay, self._due, key)

    def forget(self, key: K) -> None:
        """Drop all visits to come and the failure count of a key that is gone for good."""
        self._ready.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._succeeded(key)
        self._rest()

    def start(self, handler: Callable[[K], Awaitable[float | None]], *, workers: int) -> None:
        """Start the workers."""
        self._workers = [
            asyncio.create_task(self._work(handler), name=f"queue worker {number}") for number in range(workers)
        ]

    async def close(self, *, timeout: float) -> bool:
        """Take no more keys, let what is ready and under way end, then stop. False if that did not happen in time."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._again.clear()
        drained = True
        try:
            async with asyncio.timeout(timeout if self._workers else 0):
                await self.idle()
        except TimeoutError:
            drained = False
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        return drained

    async def idle(self) -> None:
        """Return once nothing is ready or under way; planned visits do not count."""
        await self._idle.wait()

    @property
    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self._ready)

    @property
    def failing(self) -> int:
        """Keys whose last visit failed."""
        return len(self._failures)

    def oldest_age(self) -> float:
        """Seconds that the key at hand longest has waited or been worked on."""
        since = [*self._processing.values()]
        if self._ready:
            since.append(next(iter(self._ready.values())))
        return asyncio.get_running_loop().time() - min(since) if since else 0.0

    def stuck(self, seconds: float) -> int:
        """Keys that do not get on: for so long they have waited, been worked on, or failed at each visit."""
        before = asyncio.get_running_loop().time() - seconds
        held = (self._ready, self._processing, self._failing_since)
        return len({key for since in held for key, at in since.items() if at <= before})

    def _succeeded(self, key: K) -> None:
        self._failures.pop(key, None)
        self._failing_since.pop(key, None)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self, handler: Callable[[K], Awaitable[float | None]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._tickets.acquire()
            if not self._ready:  # forgotten meanwhile
                continue
            key, added = self._ready.popitem(last=False)
            self._processing[key] = loop.time()
            try:
                after = await handler(key)
            except RetryLaterError as error:
                logger.info("work on %s comes back: %s", key, error)
                after = self._backoff(key)
            except Exception:
                logger.exception("work on %s failed", key)
                after = self._backoff(key)
            else:
                self._succeeded(key)
                self._took(key, loop.time() - added)
            finally:
                del self._processing[key]
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            if after is not None:
                self.add_after(key, after)
            self._rest()

    def _rest(self) -> None:
        if not self._ready and not self._processing:
            self._idle.set()

    def _backoff(self, key: K) -> float:
        self.retries += 1
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._failing_since.setdefault(key, asyncio.get_running_loop().time())
        ceiling = min(self._max_delay, self._base_delay * 2.0 ** min(failures, 32))
        return ceiling * self._rng.uniform(0.5, 1.0)
