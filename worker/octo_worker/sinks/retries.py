"""How often and how long a failed request to the store is tried again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from octo_worker.sinks.errors import S3Error

T = TypeVar("T")
_LOOK_SECONDS = 0.1


class Halt:
    """Set when one of several events is: the run is told to stop, or a writer is given up."""

    def __init__(self, *events: threading.Event) -> None:
        self._events = events

    def is_set(self) -> bool:
        """Whether work should end now."""
        return any(event.is_set() for event in self._events)

    def wait(self, seconds: float) -> bool:
        """Sleep that long, or until it is set; whether it is."""
        end = time.monotonic() + seconds
        while not self.is_set():
            left = end - time.monotonic()
            if left <= 0:
                return False
            if not self._events:
                time.sleep(left)
            elif len(self._events) == 1:
                self._events[0].wait(left)
            else:
                self._events[0].wait(min(left, _LOOK_SECONDS))
        return True


@dataclass(frozen=True, slots=True)
class Patience:
    """Exponential backoff with full jitter."""

    tries: int = 5
    first_seconds: float = 0.5
    longest_seconds: float = 15.0
    total_seconds: float = 60.0
    """No try begins later than this after the first."""

    def delay(self, failures: int, luck: float) -> float:
        """Seconds to wait after that many failures; luck lies between 0 and 1."""
        return luck * min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, 30))

    def run(self, once: Callable[[], T], halt: Halt) -> T:
        """What ``once`` returns when it works. Raises its last ``S3Error``, which is `unclear` if any of them was."""
        started = time.monotonic()
        failures, unclear = 0, False
        while True:
            try:
                return once()
            except S3Error as error:
                failures += 1
                error.unclear = unclear = unclear or error.unclear
                delay = self.delay(failures, random.random())  # noqa: S311 - jitter
                late = time.monotonic() + delay - started > self.total_seconds
                if not error.retryable or failures >= self.tries or late or halt.wait(delay):
                    raise
