"""What was found out a short while ago."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_CAPACITY = 10_000


class Memory(Generic[K, V]):
    """Values that are forgotten after ``life``, or when 10,000 newer ones were put."""

    def __init__(self, *, clock: Callable[[], datetime], life: timedelta) -> None:
        self._clock = clock
        self._life = life
        self._values: OrderedDict[K, tuple[datetime, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, if it is known and not too old."""
        found = self._values.get(key)
        if found is None:
            return None
        at, value = found
        # A clock that was set back must not lengthen a life.
        return value if timedelta() <= self._clock() - at < self._life else None

    def put(self, key: K, value: V) -> None:
        """Remember the value from now on."""
        self._values[key] = (self._clock(), value)
        self._values.move_to_end(key)
        if len(self._values) > _CAPACITY:
            self._values.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget the value, if there is one."""
        self._values.pop(key, None)
