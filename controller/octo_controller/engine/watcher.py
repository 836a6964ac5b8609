"""Follows one kind through a watch: from a list on, over broken streams, and after a gap from a new list."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from octo_controller.engine.cache import version_of

Raw = dict[str, Any]
Stream = Callable[[int], AsyncIterator[tuple[str, Raw]]]
"""What comes after a resourceVersion: the type of each event and its object."""

logger = logging.getLogger(__name__)

FIRST_DELAY, MAX_DELAY = 1.0, 30.0
PAUSE_SECONDS = 0.1
"""Between two streams, so that an API server that ends each at once is not asked without end."""


class Watcher:
    """Calls ``sink`` with each object that a stream tells of, and whether it is gone.

    ``relist`` is called when changes were missed; it brings what it lists to where it belongs, and returns the
    resourceVersion of the list. ``reached`` is called with each version up to which all is told: of a list, an event, a
    bookmark. Stream and list may raise one of ``passing``, which are tried again; one of ``gaps`` says that the
    stream cannot begin where the last one ended.
    """

    def __init__(
        self,
        stream: Stream,
        sink: Callable[[Raw, bool], None],
        *,
        relist: Callable[[], Awaitable[int]],
        gaps: tuple[type[Exception], ...],
        passing: tuple[type[Exception], ...],
        reached: Callable[[int], None] = lambda version: None,
        rng: random.Random | None = None,
    ) -> None:
        self._stream = stream
        self._sink = sink
        self._relist = relist
        self._gaps = gaps
        self._passing = passing
        self._reached = reached
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._version = -1
        self._delay = FIRST_DELAY
        self.relists = 0
        """How often changes were missed."""

    async def run(self, version: int) -> None:
        """Follow from a list on that was taken at ``version``, until cancelled."""
        self._advance(version)
        while True:
            try:
                await self._follow()
                await asyncio.sleep(PAUSE_SECONDS)
            except self._gaps as error:
                logger.info("changes were missed, listing: %s", error)
                self.relists += 1
                self._version = -1
                await self._wait()
            except self._passing as error:
                logger.info("the watch is tried again: %s", error)
                await self._wait()

    async def _wait(self) -> None:
        await asyncio.sleep(self._delay * self._rng.uniform(0.5, 1.0))
        self._delay = min(self._delay * 2, MAX_DELAY)

    async def _follow(self) -> None:
        if self._version < 0:
            self._advance(await self._relist())
        async for kind, raw in self._stream(self._version):
            # Only now: a stream that breaks at once is no sign that the next one will not.
            self._delay = FIRST_DELAY
            version = version_of(raw)
            if kind != "BOOKMARK":
                self._sink(raw, kind == "DELETED")
            self._advance(version)

    def _advance(self, version: int) -> None:
        self._version = version
        self._reached(version)
