"""Times for work that may wait: the first few at once, and from then on so many a second."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
KEPT = 10_000


class Slots(Generic[K]):
    """Gives each key a time of its own, and keeps it for the key until it is used.

    ``clock`` is monotonic, in seconds. ``burst`` slots are free at once after a pause that is long enough.
    """

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._gap = 1.0 / per_second
        self._burst = burst
        self._clock = clock
        self._next = -float("inf")
        self._given: dict[K, float] = {}
        self._limit = KEPT

    def wait(self, key: K) -> float:
        """Seconds until the key's slot; 0 uses it up."""
        now = self._clock()
        at = self._given.get(key)
        if at is None:
            self._next = max(self._next, now - self._burst * self._gap) + self._gap
            at = self._next
        if at <= now:
            self._given.pop(key, None)
            return 0.0
        self._given[key] = at
        if len(self._given) > self._limit:
            # Keys that were given a slot and never came for it.
            self._given = {key: at for key, at in self._given.items() if at > now}
            self._limit = max(KEPT, 2 * len(self._given))
        return at - now
