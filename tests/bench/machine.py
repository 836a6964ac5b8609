"""What the rest of the machine did meanwhile: a figure is worth as much as the hour it was taken in was quiet."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path

from tests.bench.launch import cpu_seconds, descendants

TICK = os.sysconf("SC_CLK_TCK")


class Machine:
    """Who uses the CPU, this process with its children or all others, from its making on."""

    def __init__(self) -> None:
        self._at, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def others(self) -> float:
        """How many cores all others use, on average so far."""
        busy, own = _busy_seconds() - self._busy, sum(self.shares().values())
        return max(busy - own, 0.0) / (time.monotonic() - self._at)

    def shares(self) -> dict[str, float]:
        """CPU seconds of each program of our own so far, by name, the greatest first."""
        spent = {name: now - self._own.get(name, 0.0) for name, now in _own_seconds().items()}
        return dict(sorted(spent.items(), key=lambda item: -item[1]))


def _busy_seconds() -> float:
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + softirq) / TICK


def _own_seconds() -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for pid in (os.getpid(), *descendants(os.getpid())):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue  # It has just ended.
        name = "this process" if pid == os.getpid() else stat[stat.index("(") + 1 : stat.rindex(")")]
        found[name] += cpu_seconds(stat, with_reaped=True)
    return found
