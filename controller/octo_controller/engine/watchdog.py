"""A thread that ends the process when the event loop cannot: it is blocked, or slept through its lease."""

from __future__ import annotations

import threading
from collections.abc import Callable

TICK_SECONDS = 1.0


class Watchdog:
    """Calls ``check`` every second, in a thread of its own, and ``bite`` with what it says is wrong.

    ``beat`` is to be called from the event loop; the loop counts as blocked after ``blocked_after`` ticks
    without a beat. Ticks are counted, not seconds: when the process or the machine has slept, the loop must get its
    turn before it is blamed.
    """

    def __init__(
        self,
        *,
        check: Callable[[], str | None],
        bite: Callable[[str], object],
        blocked_after: int,
        tick: float = TICK_SECONDS,
    ) -> None:
        self._check = check
        self._bite = bite
        self._blocked_after = blocked_after
        self._tick = tick
        self._beats = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def beat(self) -> None:
        """The event loop runs."""
        self._beats += 1

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the thread has."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        last, missed = self._beats, 0
        while not self._stop.wait(self._tick):
            missed = missed + 1 if self._beats == last else 0
            last = self._beats
            wrong = self._check()
            if wrong is None and missed >= self._blocked_after:
                wrong = f"the event loop has not run for {missed} ticks"
            if wrong is not None:
                self._bite(wrong)
                return
