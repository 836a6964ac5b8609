"""How often something is tried over new connections, and how long is waited in between."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from octo_worker.failure import ConnectionLostError

LONGEST_WAIT = 30.0

log = logging.getLogger(__name__)


def longest_wait(used: int, base: float) -> float:
    """The most to wait after so many tries; doubles with each."""
    return min(LONGEST_WAIT, base * 2.0 ** min(used, 16))


@dataclass(slots=True)
class Tries:
    """The tries of one file in one attempt of a run. All that try anew for that file share the one object."""

    limit: int
    base_seconds: float = 1.0
    used: int = 1
    uniform: Callable[[float, float], float] = random.uniform

    async def again(self, error: ConnectionLostError) -> None:
        """Take another try after a while, or raise the error if there is none left.

        The wait is drawn between nothing and the most there is ("full jitter"), so that workers that lost the
        same server at once do not come back at once.
        """
        if self.used >= self.limit:
            raise error
        wait = self.uniform(0.0, longest_wait(self.used, self.base_seconds))
        self.used += 1
        log.warning("trying again", extra={"try": self.used, "of": self.limit, "wait": wait, "why": error.detail})
        await asyncio.sleep(wait)
