"""A server that a test starts as a process, kills and starts again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_SECONDS = 240


class Program:
    """One command line. It runs in a group of its own, dies with this test process, and logs into one file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        ready: Callable[[], bool] = lambda: True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.command = list(command)
        self._ready = ready
        self.environment = dict(environment) if environment is not None else None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there, stopped or not."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start, and do not wait until it answers."""
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start, and return once it answers. Raises AssertionError with the end of its log if it ends instead."""
        self.launch()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return once it answers. Raises AssertionError with the end of its log if it ends instead."""
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            assert self.running, f"{self.name} has ended: {self.tail()}"
            assert time.monotonic() < deadline, f"{self.name} does not answer: {self.tail()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL it, and what it started in its group."""
        self._end(signal.SIGKILL, 240)

    def stop(self, *, within: float = 240) -> int:
        """SIGTERM it; its exit code. One that does not end in time is killed."""
        return self._end(signal.SIGTERM, within)

    def freeze(self) -> None:
        """SIGSTOP it."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT it."""
        os.killpg(self.pid, signal.SIGCONT)

    def tail(self, size: int = 3000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def _end(self, number: signal.Signals, within: float) -> int:
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(within)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(240)
        return process.returncode
