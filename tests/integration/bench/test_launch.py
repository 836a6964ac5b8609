"""The bench's accounting: every process that a command causes, also one that has left it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import launch

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while time.process_time() < 0.5:
            pass
        open(sys.argv[1], "w").close()
        time.sleep(float(sys.argv[2]))
    os._exit(0)
os.wait()
"""
"""Leaves a daemon behind that works for half a second and then stays for a while."""
HOLD = """
import os, sys, time
held = b"x" * (64 << 20)
open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
while len(os.listdir(sys.argv[1])) < int(sys.argv[2]):
    time.sleep(0.01)
time.sleep(1)
"""
"""Holds memory until all of its kind do, and then for many samples more."""


def launched(folder: Path, *command: str, grace: float = 0.0, sample: bool = False) -> dict[str, Any]:
    options = ["--out", str(folder / "out.json"), "--grace", str(grace), *(["--sample"] if sample else [])]
    subprocess.run([sys.executable, launch.__file__, *options, "--", *command], check=True, timeout=120)
    measured: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return measured


def test_a_daemon_that_ends_in_time_is_accounted_for(tmp_path: Path) -> None:
    measured = launched(tmp_path, sys.executable, "-c", DAEMON, str(tmp_path / "done"), "0", grace=60)
    assert measured["exit_code"] == 0
    assert measured["left_running"] == []
    assert measured["user_s"] + measured["sys_s"] > 0.5


def test_a_daemon_that_stays_is_ended_and_named(tmp_path: Path) -> None:
    program = DAEMON.replace("os.wait()", "os.wait()\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)")
    measured = launched(tmp_path, sys.executable, "-c", program, str(tmp_path / "done"), "600")
    assert measured["exit_code"] == 0
    assert len(measured["left_running"]) == 1
    assert measured["user_s"] + measured["sys_s"] > 0.5


def test_the_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    assert launched(tmp_path, "sh", "-c", "exit 3")["exit_code"] == 3


@pytest.mark.parametrize("children", [1, 2])
def test_memory_is_summed_over_the_tree(tmp_path: Path, children: int) -> None:
    held = tmp_path / "held"
    held.mkdir()
    shell = " & ".join(['"$0" -c "$1" "$2" "$3"'] * children) + "; wait"
    measured = launched(tmp_path, "sh", "-c", shell, sys.executable, HOLD, str(held), str(children), sample=True)
    assert children * 64 < measured["peak_rss"]["mib"] < children * 64 + 60
