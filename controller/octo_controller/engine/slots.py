"""Times for work that may wait: the first few at once, and from then on so many a second."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
KEPT = 10_000
SLOWEST, FASTEST = 2.0, 20.0
SOON_SECONDS = 120.0


def pace(waiting: int) -> float:
    """How many a second of what may wait are done while so many do: few while they are few, so that nothing urgent
    meets them; with thousands, so many that each waits for minutes and not for hours."""
    return min(max(waiting / SOON_SECONDS, SLOWEST), FASTEST)


class Grace(Generic[K]):
    """Lets so many a second pass at once, ``burst`` after a pause; all others after ``seconds``, in which it may turn
    out that they need not any more. ``clock`` is monotonic, in seconds."""

    def __init__(self, *, seconds: float, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._slots: Slots[K] = Slots(per_second=per_second, burst=burst, horizon=0.0, clock=clock)
        self._clock = clock
        self._due: dict[K, float] = {}
        self._limit = KEPT

    def wait(self, key: K) -> float:
        """Seconds until the key may pass; 0 if now, and then it is forgotten."""
        now = self._clock()
        due = self._due.setdefault(key, now + self._seconds)
        if due <= now or (due == now + self._seconds and self._slots.wait(key) <= 0):
            del self._due[key]
            return 0.0
        if len(self._due) > self._limit:
            # Keys that never came back.
            self._due = {key: due for key, due in self._due.items() if due > now}
            self._limit = max(KEPT, 2 * len(self._due))
        return due - now


class Slots(Generic[K]):
    """Gives each key a time of its own, and keeps it for the key until it is used.

    ``per_second`` may depend on how many wait. ``clock`` is monotonic, in seconds. ``burst`` slots are free at once
    after a pause that is long enough. A slot further away than ``horizon`` seconds is not given: the key is to ask
    again then, if it still wants one.
    """

    def __init__(
        self,
        *,
        per_second: float | Callable[[int], float],
        burst: int,
        clock: Callable[[], float],
        horizon: float = float("inf"),
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._horizon = horizon
        self._clock = clock
        self._next = -float("inf")
        self._given: dict[K, float] = {}
        self._limit = KEPT

    def wait(self, key: K) -> float:
        """Seconds until the key's slot; 0 uses it up."""
        now = self._clock()
        at = self._given.get(key)
        if at is None:
            gap = 1.0 / (self._per_second(len(self._given)) if callable(self._per_second) else self._per_second)
            at = max(self._next, now - self._burst * gap) + gap
            if at - now > self._horizon:
                return self._horizon or at - now
            self._next = at
        if at <= now:
            self._given.pop(key, None)
            return 0.0
        self._given[key] = at
        if len(self._given) > self._limit:
            # Keys that were given a slot and never came for it.
            self._given = {key: at for key, at in self._given.items() if at > now}
            self._limit = max(KEPT, 2 * len(self._given))
        return at - now
