"""At most one time in so many seconds, for each of any number of keys."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Pace(Generic[K]):
    """Remembers a key for ``gap`` seconds after its time. ``clock`` is monotonic, in seconds."""

    def __init__(self, *, gap: float, clock: Callable[[], float]) -> None:
        self._gap = gap
        self._clock = clock
        self._last: OrderedDict[K, float] = OrderedDict()

    def wait(self, key: K) -> float:
        """Seconds until the key may; 0 says that it does now."""
        now = self._clock()
        while self._last and now - next(iter(self._last.values())) >= self._gap:
            self._last.popitem(last=False)
        at = self._last.get(key)
        if at is not None:
            return self._gap - (now - at)
        self._last[key] = now
        return 0.0
