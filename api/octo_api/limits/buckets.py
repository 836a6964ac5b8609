"""Token buckets in the memory of one process, one for each key (a caller, an address)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

_CAPACITY = 20_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a bucket of ``limit`` tokens in each window answers.

    It is full after ``reset_seconds``, and has a token after ``retry_seconds``.
    """

    allowed: bool
    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: int
    retry_seconds: int


class Buckets:
    """Each bucket holds ``size`` tokens and is filled evenly, from empty to full in ``fill_seconds``.

    The buckets that were used last are kept, up to 20,000; one that is forgotten is full again.
    """

    def __init__(self, *, size: int, fill_seconds: int, clock: Callable[[], datetime]) -> None:
        self._size = size
        self._window = fill_seconds
        self._rate = size / fill_seconds
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> Allowance:
        """Take a token, if there is one."""
        level, now = self._level(key)
        allowed = level >= 1
        if allowed:
            level -= 1
        self._levels[key] = (level, now)
        self._levels.move_to_end(key)
        if len(self._levels) > _CAPACITY:
            self._levels.popitem(last=False)
        return self._answer(allowed, level)

    def look(self, key: str) -> Allowance:
        """Whether a token could be taken."""
        level, _ = self._level(key)
        return self._answer(level >= 1, level)

    def _level(self, key: str) -> tuple[float, float]:
        now = self._clock().timestamp()
        level, at = self._levels.get(key, (float(self._size), now))
        # A clock set back fills nothing, and takes nothing away.
        return min(self._size, level + max(0.0, now - at) * self._rate), now

    def _answer(self, allowed: bool, level: float) -> Allowance:
        missing = 0.0 if level >= 1 else 1 - level
        return Allowance(
            allowed,
            limit=self._size,
            window_seconds=self._window,
            remaining=int(level),
            reset_seconds=math.ceil((self._size - level) / self._rate),
            retry_seconds=max(1, math.ceil(missing / self._rate)),
        )
