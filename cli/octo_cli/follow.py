"""Follows a run to its end, by looking at it again and again; whatever the way, it is done here."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING

from octo_cli.backend import LogWish
from octo_cli.errors import CliError
from octo_cli.exits import Exit

if TYPE_CHECKING:
    from octo_cli.backend import Backend
    from octo_client import models

LOOK_SECONDS = 1.0
_GRACE_SECONDS = 1.0
"""For whoever waits with patience, and can say for what."""


@contextmanager
def deadline(seconds: int | None) -> Iterator[None]:
    """End what is done in the block with a CliError once it takes that long and a little more, also when a server is
    silent. Only where there are signals, in a process's main thread; elsewhere each answer is waited for."""
    if seconds is None or not hasattr(signal, "setitimer") or current_thread() is not main_thread():
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise CliError(f"no answer within {seconds} s; a run that was begun goes on", Exit.TIMEOUT)

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Patience:
    """How long to wait; for ever, if no number is given. Raises CliError once it is over."""

    def __init__(
        self,
        seconds: int | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._seconds = seconds
        self._end = None if seconds is None else clock() + seconds

    def rest(self, what: str) -> None:
        """Wait for a look, if there is still time."""
        left = LOOK_SECONDS if self._end is None else min(LOOK_SECONDS, self._end - self._clock())
        if left <= 0:
            raise CliError(f"{what} after {self._seconds} s; it goes on", Exit.TIMEOUT)
        self._sleep(left)


def to_its_end(backend: Backend, job: models.Job, patience: Patience) -> Iterator[models.Job]:
    """The run as it is now, and whenever it is looked at, until it has ended."""
    yield job
    while job.finished_at is None and not ended(job):
        patience.rest(f"{job.name} is still {job.state.value}")
        job = backend.job(job.id)
        yield job


def ended(job: models.Job) -> bool:
    """Whether its state is a last one."""
    return job.state.value in ("Succeeded", "Failed", "Cancelled")


def its_log(backend: Backend, job: models.Job, wish: LogWish, patience: Patience) -> Iterator[str]:
    """The log of each attempt, one after the other, as it is written."""
    told = 0
    while True:
        while told < job.attempt:
            told += 1
            yield from backend.log(job, LogWish(True, told, wish.worker, None, None, wish.timestamps))
        job = backend.job(job.id)
        if told >= job.attempt:
            if ended(job):
                return
            patience.rest(f"{job.name} is still {job.state.value}")
            job = backend.job(job.id)
