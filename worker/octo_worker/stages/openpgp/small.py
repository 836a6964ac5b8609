"""Opens small messages with gpg processes that stay.

A gpg takes longer to start than to open a small message. ``--multifile`` has it read file names for as long as there
are any; so a message is written to a file, and its plaintext read from one. Both lie for milliseconds in the run's
own folder in memory, which nobody else can enter, like the key itself.
"""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from octo_worker.failure import Failed
from octo_worker.stages.openpgp.gpg import Gpg
from octo_worker.stages.openpgp.verdict import Line, status_line

MAX_MESSAGE = 256 << 10
"""Of ciphertext. What is larger takes so long that starting a gpg for it no longer counts."""
MAX_PLAINTEXT = 4 << 20
"""What a message may inflate to here; a gpg that writes more is killed by the system."""
MAX_PROCESSES = 4

SUPPORTED = sys.platform == "linux"
"""Only there can the size of a running process's files be limited."""


class SmallMessages:
    """A few gpg processes, started when they are first needed. Thread-safe."""

    def __init__(self, new_file: Callable[[], Path], start: Callable[[], Gpg]) -> None:
        self._new_file = new_file
        self._start = start
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_PROCESSES)
        self._idle: list[_Resident] = []

    def open(self, message: bytes) -> tuple[list[Line], bytes] | None:
        """What gpg said of a message, and what it put out, of which nothing is to be made before the status has been
        judged; None if gpg did not survive the message, or cannot be had."""
        # A name that gpg takes the ending from to get the name of its output.
        target = self._new_file()
        source = target.with_suffix(".gpg")
        try:
            source.write_bytes(message)
            status = self._status(source)
            if status is None:
                return None
            return status, target.read_bytes() if target.exists() else b""
        finally:
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    def _status(self, source: Path) -> list[Line] | None:
        with self._places:
            try:
                resident = self._take_idle() or _Resident(self._start())
            except (Failed, OSError):
                return None  # the ordinary way will say it, or manage
            status = None
            try:
                status = resident.decrypt(source)
            finally:
                if status is None:
                    resident.close()
                else:
                    with self._lock:
                        self._idle.append(resident)
        return status

    def _take_idle(self) -> _Resident | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                resident = self._idle.pop()
            if resident.alive:
                return resident
            resident.close()

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for resident in idle:
            resident.close()


class _Resident:
    """A gpg that waits for names of files."""

    def __init__(self, child: Gpg) -> None:
        self._child = child
        self._status = open(child.status_pipe, "rb", closefd=False)  # noqa: SIM115 - closed with the child
        if sys.platform == "linux":
            try:
                resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (MAX_PLAINTEXT, MAX_PLAINTEXT))
            except BaseException:
                self.close()
                raise

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.process.poll() is None

    def decrypt(self, source: Path) -> list[Line] | None:
        """The status lines of one file; None if gpg ended over it."""
        stdin = self._child.process.stdin
        assert stdin is not None  # noqa: S101 - made with a pipe
        with suppress(BrokenPipeError):
            stdin.write(bytes(source) + b"\n")
        status: list[Line] = []
        while raw := self._status.readline(4096):
            line = status_line(raw.rstrip(b"\n"))
            if line is None:
                continue
            if len(status) >= 1000:
                return None  # no good message has as many; and this process is given up
            status.append(line)
            if line[0] == "FILE_DONE":
                return status
        return None

    def close(self) -> None:
        """End it."""
        self._status.close()
        self._child.close()
