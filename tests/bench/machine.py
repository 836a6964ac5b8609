"""What the rest of the machine did meanwhile: a figure is worth as much as the hour it was taken in was quiet."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.bench.launch import cpu_seconds, descendants

TICK = os.sysconf("SC_CLK_TCK")


class Machine:
    """How many cores all but this process and its children use, from its making on."""

    def __init__(self) -> None:
        self._at, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def others(self) -> float:
        """On average, so far."""
        busy, own = _busy_seconds() - self._busy, _own_seconds() - self._own
        return max(busy - own, 0.0) / (time.monotonic() - self._at)


def _busy_seconds() -> float:
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + softirq) / TICK


def _own_seconds() -> float:
    total = 0.0
    for pid in (os.getpid(), *descendants(os.getpid())):
        try:
            total += cpu_seconds(Path(f"/proc/{pid}/stat").read_text(), with_reaped=True)
        except OSError:
            continue  # It has just ended.
    return total
