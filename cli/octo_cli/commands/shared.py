"""What several commands take or do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from octo_cli.backend import LogWish
from octo_cli.errors import CliError
from octo_cli.exits import Exit, exit_of_state
from octo_cli.follow import Patience, its_log, to_its_end
from octo_cli.settings import Settings
from octo_cli.show import columns, output, progress
from octo_cli.show.text import printable
from octo_cli.times import DURATION

if TYPE_CHECKING:
    from octo_cli.backend import Backend
    from octo_client import models

F = TypeVar("F", bound=Callable[..., Any])

# Said here so that the grammar needs no models, which take a third of a second; a test compares them.
STATES = (
    "Pending",
    "Queued",
    "Suspended",
    "Starting",
    "Running",
    "Retrying",
    "Cancelling",
    "Succeeded",
    "Failed",
    "Cancelled",
)
CATEGORIES = (
    "Infra",
    "RemoteUnavailable",
    "SinkUnavailable",
    "Auth",
    "HostKey",
    "Decrypt",
    "Integrity",
    "UnpackLimit",
    "Config",
    "Timeout",
    "Cancelled",
    "Unknown",
)
FILE_OUTCOMES = ("Stored", "AlreadyStored", "Failed")

pass_settings = click.make_pass_decorator(Settings, ensure=True)


def job_argument(command: F) -> F:
    """Which run."""
    return click.argument("job", metavar="JOB")(command)


def choice(values: Iterable[str]) -> click.Choice[str]:
    """One of these words, however it is capitalised."""
    return click.Choice(list(values), case_sensitive=False)


def waiting_options(command: F) -> F:
    """For what begins a run."""
    for option in (
        click.option("--timeout", type=DURATION, metavar="DURATION", help="Wait no longer than that, such as 30m."),
        click.option("--follow", "-f", is_flag=True, help="Wait, and show its log meanwhile."),
        click.option("--wait", "-w", is_flag=True, help="Wait until it has ended; the exit code tells how."),
    ):
        command = option(command)
    return command


def key_option(command: F) -> F:
    """For what must not be done twice."""
    return click.option(
        "--idempotency-key", metavar="KEY", help="Asked for again with the same key, it is the same run."
    )(command)


def awaited(
    backend: Backend, job: models.Job, settings: Settings, *, wait: bool, follow: bool, timeout: int | None
) -> int:
    """Show a run that was begun; if that is wished, once it has ended. Returns the exit code."""
    if not (wait or follow):
        output.one(job, columns.JOBS, settings.output)
        return Exit.DONE
    patience = Patience(timeout)
    if follow:
        output.note(f"{job.name}: {job.state.value} ({job.id})")
        for line in its_log(backend, job, LogWish(), patience):
            click.echo(printable(line))
        job = backend.job(job.id)
        output.note(progress.line(job))
    else:
        with progress.shown() as show:
            for job in to_its_end(backend, job, patience):  # noqa: B020 - the last one is what it came to
                show(job)
        output.one(job, columns.JOBS, settings.output)
    return told(job)


def told(job: models.Job) -> int:
    """Say why a run failed, if it did, and what to do. Returns the exit code."""
    code = exit_of_state(job.state.value)
    if job.failure is not None and code is not Exit.DONE:
        output.note(f"{job.failure.category.value}: {job.failure.message or job.failure.reason}")
        if job.failure.resolution:
            output.note(f"  {job.failure.resolution}")
    return code


def pairs(values: Iterable[str], what: str) -> dict[str, str]:
    """``key=value`` words. Raises CliError for another."""
    found: dict[str, str] = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not key or not equals:
            raise CliError(f"{what} must be KEY=VALUE, not {value!r}", Exit.USAGE)
        found[key] = rest
    return found


def on_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty()
