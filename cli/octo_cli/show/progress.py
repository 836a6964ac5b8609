"""A run under way: a bar on a terminal, else a line whenever something has changed. On standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import click

from octo_cli.show.text import printable, size

if TYPE_CHECKING:
    from octo_client import models

Show = Callable[["models.Job"], None]


def shown() -> AbstractContextManager[Show]:
    """What to call with the run whenever it was looked at."""
    return _Bar() if sys.stderr.isatty() else nullcontext(_Lines())


def line(job: models.Job) -> str:
    """How far it is, in a line."""
    parts = [f"{job.name}: {job.state.value}"]
    if job.attempt > 1:
        parts.append(f"attempt {job.attempt}")
    if job.queue_position:
        parts.append(f"place {job.queue_position}")
    if job.progress is not None and job.progress.files_selected:
        parts.append(f"{job.progress.summary} files")
        if job.progress.files_failed:
            parts.append(f"{job.progress.files_failed} failed")
        if job.progress.bytes_uploaded:
            parts.append(f"{size(job.progress.bytes_uploaded)} stored")
    return ", ".join(parts)


class _Lines:
    """For logs and pipes."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, job: models.Job) -> None:
        text = line(job)
        if text != self._last:
            click.echo(printable(text), err=True)
        self._last = text


class _Bar:
    """For people."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Show:
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, job: models.Job) -> None:
        progress = job.progress
        selected = progress.files_selected if progress else None
        done = ((progress.files_done or 0) + (progress.files_failed or 0)) if progress else 0
        self._progress.update(self._task, description=printable(line(job)), total=selected or None, completed=done)
