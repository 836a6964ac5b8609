"""Follows a run to its end, by looking at it again and again; whatever the way, it is done here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from octo_cli.backend import LogWish
from octo_cli.errors import CliError
from octo_cli.exits import Exit

if TYPE_CHECKING:
    from octo_cli.backend import Backend
    from octo_client import models

LOOK_SECONDS = 1.0


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
