"""Runs one command and accounts for every process that comes of it, daemons included.

Run by its path, in a process of its own: it becomes the subreaper of what the command starts, so a daemon that
leaves its parent (gpg-agent does) is reaped here, and its times are the kernel's own and complete. Standard
library only, and nothing is done between the start and the end of the command unless ``--sample`` is given.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
KCMP, KCMP_VM = {"x86_64": 312, "aarch64": 272}, 1
LIBC = ctypes.CDLL(None, use_errno=True)
SAMPLES_PER_SECOND = 20
TICK = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> Iterator[int]:
    """Every process below this one that is there now."""
    for thread in _entries(f"/proc/{pid}/task"):
        for child in _text(f"/proc/{pid}/task/{thread}/children").split():
            yield int(child)
            yield from descendants(int(child))


def cpu_seconds(stat: str, *, with_reaped: bool = False) -> float:
    """User and system time from the text of a ``stat`` file; that of children it has waited for on demand."""
    fields = stat.rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11 : 15 if with_reaped else 13]) / TICK


class Sampler(threading.Thread):
    """Looks at the tree 20 times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._threads: dict[tuple[int, str], tuple[str, float]] = {}
        self._names: dict[int, str] = {}
        self._high_water: dict[int, float] = {}
        self._peaks: dict[str, dict[str, Any]] = {kind: {"mib": 0.0, "by_process": {}} for kind in ("Rss", "Pss")}
        self._samples = 0

    def run(self) -> None:
        while not self._ended.wait(1 / SAMPLES_PER_SECOND):
            self._look()

    def _look(self) -> None:
        held: dict[str, dict[str, float]] = {"Rss": {}, "Pss": {}}
        tree = list(descendants(os.getpid()))
        for pid in tree:
            name = self._names[pid] = _name(pid) or self._names.get(pid, "")
            # Between vfork and exec a child is in its parent's memory, which must not count twice.
            if not any(_same_memory(pid, other) for other in tree[: tree.index(pid)]):
                for kind, mib in _memory(f"/proc/{pid}/smaps_rollup").items():
                    if kind in held:
                        held[kind][f"{name} {pid}"] = mib
            self._high_water[pid] = _memory(f"/proc/{pid}/status").get("VmHWM", self._high_water.get(pid, 0.0))
            for thread in _entries(f"/proc/{pid}/task"):
                stat = _text(f"/proc/{pid}/task/{thread}/stat")
                if stat:
                    self._threads[pid, thread] = (stat[stat.index("(") + 1 : stat.rindex(")")], cpu_seconds(stat))
        self._samples += 1
        for kind, by_process in held.items():
            total = sum(by_process.values())
            if total > self._peaks[kind]["mib"]:
                self._peaks[kind] = {"mib": round(total, 1), "by_process": by_process}

    def result(self) -> dict[str, Any]:
        """What was seen. CPU times are of the last look, so a short-lived process is not seen whole."""
        self._ended.set()
        self.join()
        threads = sorted(self._threads.items(), key=lambda item: -item[1][1])
        return {
            "samples": self._samples,
            "peak_rss": self._peaks["Rss"],
            "peak_pss": self._peaks["Pss"],
            "high_water_mib": {f"{self._names[pid]} {pid}": mib for pid, mib in self._high_water.items()},
            "busiest_threads": [
                {
                    "process": f"{self._names[pid]} {pid}",
                    "thread": f"{name} {tid}",
                    "main": tid == str(pid),
                    "cpu_s": cpu,
                }
                for (pid, tid), (name, cpu) in threads[:16]
                if cpu > 0
            ],
        }


def run(command: list[str], grace: float, *, sample: bool) -> dict[str, Any]:
    """Run the command, wait up to ``grace`` seconds for what it left running, and end that."""
    sampler = Sampler()
    load = os.getloadavg()[0]
    before = _machine()
    started = time.monotonic()
    main = os.posix_spawnp(command[0], command, dict(os.environ))
    if sample:
        sampler.start()
    reaped: list[dict[str, Any]] = []
    wall, code, left, after = 0.0, -1, list[str](), before
    while True:
        try:
            # Left as a zombie at first: it still has its name then.
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            break
        now = time.monotonic()
        if found is None:
            continue
        name = _name(found.si_pid)
        _, status, usage = os.wait4(found.si_pid, 0)
        reaped.append(
            {
                "name": name,
                "user_s": usage.ru_utime,
                "sys_s": usage.ru_stime,
                "largest_rss_mib": round(usage.ru_maxrss / 1024, 1),
            }
        )
        if found.si_pid == main:
            wall, code, after = now - started, os.waitstatus_to_exitcode(status), _machine()
            left = _end_all(grace)
    result = {
        "wall_s": wall,
        "exit_code": code,
        "user_s": sum(one["user_s"] for one in reaped),
        "sys_s": sum(one["sys_s"] for one in reaped),
        "reaped": reaped,
        "left_running": left,
        "load_1m": load,
        "machine_busy_s": after["busy"] - before["busy"],
        "machine_stolen_s": after["stolen"] - before["stolen"],
    }
    return {**result, **sampler.result()} if sample else result


def _end_all(grace: float) -> list[str]:
    """Tell what is still there after the grace to end; the names of those."""
    deadline = time.monotonic() + grace
    # Zombies are still to be reaped by the caller, so they count as gone.
    while (
        alive := [pid for pid in descendants(os.getpid()) if _state(pid) not in "ZX"]
    ) and time.monotonic() < deadline:
        time.sleep(0.02)
    names = [_name(pid) for pid in alive]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in alive:
            _kill(pid, number)
        deadline = time.monotonic() + 3
        while any(_state(pid) not in "ZX" for pid in alive) and time.monotonic() < deadline:
            time.sleep(0.02)
    return names


def _same_memory(pid: int, other: int) -> bool:
    number = KCMP.get(os.uname().machine)
    return number is not None and LIBC.syscall(number, pid, other, KCMP_VM, 0, 0) == 0


def _machine() -> dict[str, float]:
    user, nice, system, _idle, _wait, irq, soft, stolen = map(int, _text("/proc/stat").split()[1:9])
    return {"busy": (user + nice + system + irq + soft) / TICK, "stolen": stolen / TICK}


def _memory(path: str) -> dict[str, float]:
    """The lines of a ``status`` or ``smaps_rollup`` file that are amounts, in MiB."""
    lines = (line.split() for line in _text(path).splitlines())
    return {words[0].rstrip(":"): round(int(words[1]) / 1024, 2) for words in lines if words[-1:] == ["kB"]}


def _name(pid: int) -> str:
    return _text(f"/proc/{pid}/comm").strip()


def _state(pid: int) -> str:
    return (_text(f"/proc/{pid}/stat").rpartition(")")[2].split() or ["X"])[0]


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ProcessLookupError):
        return ""


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (OSError, ProcessLookupError):
        return []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--grace", type=float, default=0.0)
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    for option, value in ((PR_SET_CHILD_SUBREAPER, 1), (PR_SET_PDEATHSIG, signal.SIGTERM)):
        if LIBC.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        given.out.write_text(json.dumps(run(given.command, given.grace, sample=given.sample)))
    finally:
        _end_all(0.0)


if __name__ == "__main__":
    main()
