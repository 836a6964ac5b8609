"""``ls``, ``get``, ``logs``, ``files``, ``explain``: what reads runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import click

from octo_cli.backend import FileFilter, JobFilter, LogWish
from octo_cli.commands.shared import (
    CATEGORIES,
    FILE_OUTCOMES,
    STATES,
    awaited,
    choice,
    job_argument,
    on_terminal,
    pass_settings,
)
from octo_cli.connect import opened
from octo_cli.follow import deadline
from octo_cli.settings import Settings, common_options
from octo_cli.show import columns, explanation, output
from octo_cli.show.text import printable
from octo_cli.times import DURATION, MOMENT

if TYPE_CHECKING:
    from octo_client import models

_EVERY_SECONDS = 2.0
IN_STATE = f"In this state, one of {', '.join(STATES)}; may be repeated."
FAILED_FOR = f"Failed for this, one of {', '.join(CATEGORIES)}; may be repeated."
CAME_TO = f"Only what came to this, one of {', '.join(FILE_OUTCOMES)}."


@click.command("ls")
@click.option("--provider", metavar="NAME", help="Of this provider.")
@click.option("--state", "-s", "states", multiple=True, type=choice(STATES), metavar="STATE", help=IN_STATE)
@click.option("--failure", "categories", multiple=True, type=choice(CATEGORIES), metavar="CATEGORY", help=FAILED_FOR)
@click.option("--selector", "-l", metavar="KEY=VALUE,…", help="With these labels.")
@click.option("--requested-by", metavar="SUBJECT", help="Asked for by them.")
@click.option("--schedule", metavar="PROVIDER", help="Made by this provider's schedule.")
@click.option("--since", type=MOMENT, metavar="TIME", help="Asked for at that time or later; 2h means two hours ago.")
@click.option("--until", type=MOMENT, metavar="TIME", help="Asked for before that time.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="NUMBER", help="At most so many."
)
@click.option("--watch", "-w", is_flag=True, help="Go on showing what changes.")
@common_options
@pass_settings
def ls(
    settings: Settings,
    provider: str | None,
    states: tuple[str, ...],
    categories: tuple[str, ...],
    selector: str | None,
    requested_by: str | None,
    schedule: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    watch: bool,
) -> None:
    """List runs, the newest first."""
    wanted = JobFilter(provider, states, categories, selector, requested_by, schedule, since, until)
    with opened(settings) as backend:

        def read() -> list[models.Job]:
            return list(islice(backend.jobs(wanted), limit))

        if not watch:
            output.listed(read(), columns.JOBS, settings.output)
        elif on_terminal() and settings.output in ("table", "wide"):
            _watch_table(read, wide=settings.output == "wide")
        else:
            for changed in _changes(read):
                output.listed(changed, columns.JOBS, settings.output, heads=False)


def _changes(read: Callable[[], list[models.Job]]) -> Iterable[list[models.Job]]:
    """At first all, then those that are not as they were."""
    before: dict[str, models.Job] = {}
    while True:
        now = read()
        changed = [job for job in now if before.get(job.id) != job]
        if changed:
            yield changed
        before = {job.id: job for job in now}
        time.sleep(_EVERY_SECONDS)


def _watch_table(read: Callable[[], list[models.Job]], *, wide: bool) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def drawn() -> Text:
        now = datetime.now(UTC)
        rows = [columns.JOBS.cells(job, now, wide=wide) for job in read()]
        heads = columns.JOBS.heads(wide=wide)
        return Text.from_ansi(output.grid(heads, rows) if rows else "Nothing found.", no_wrap=True)

    with Live(drawn(), console=Console(), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(_EVERY_SECONDS)
            live.update(drawn(), refresh=True)


@click.command()
@job_argument
@click.option("--wait", "-w", is_flag=True, help="Wait until it has ended; the exit code tells how.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Wait no longer than that.")
@common_options
@pass_settings
def get(settings: Settings, job: str, wait: bool, timeout: int | None) -> int:
    """Show one run."""
    with opened(settings) as backend, deadline(timeout if wait else None):
        return awaited(backend, backend.job(job), settings, wait=wait, follow=False, timeout=timeout)


@click.command()
@job_argument
@click.option("--follow", "-f", is_flag=True, help="Go on until the attempt has ended.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="NUMBER", help="Default: the latest.")
@click.option("--worker", type=click.IntRange(min=0), default=0, metavar="NUMBER", help="Of those that share the run.")
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last so many.")
@click.option("--since", type=DURATION, metavar="DURATION", help="Only lines younger than that.")
@click.option("--timestamps", is_flag=True, help="Begin each line with its time.")
@common_options
@pass_settings
def logs(
    settings: Settings,
    job: str,
    follow: bool,
    attempt: int | None,
    worker: int,
    tail: int | None,
    since: int | None,
    timestamps: bool,
) -> None:
    """Show the log of a run."""
    with opened(settings) as backend:
        for line in backend.log(backend.job(job), LogWish(follow, attempt, worker, tail, since, timestamps)):
            click.echo(printable(line))


@click.command()
@job_argument
@click.option("--outcome", type=choice(FILE_OUTCOMES), metavar="OUTCOME", help=CAME_TO)
@click.option("--failed", is_flag=True, help="The same as --outcome Failed.")
@click.option("--category", type=choice(CATEGORIES), metavar="CATEGORY", help="Only what failed for this.")
@click.option("--path", metavar="PREFIX", help="Only files whose path begins so.")
@click.option("--limit", type=click.IntRange(min=1), metavar="NUMBER", help="At most so many; default: all.")
@common_options
@pass_settings
def files(
    settings: Settings,
    job: str,
    outcome: str | None,
    failed: bool,
    category: str | None,
    path: str | None,
    limit: int | None,
) -> None:
    """Show what became of each file of a run."""
    wanted = FileFilter("Failed" if failed else outcome, category, path)
    with opened(settings) as backend:
        rows = backend.files(backend.job(job), wanted)
        output.listed(islice(rows, limit), columns.FILES, settings.output)


@click.command()
@job_argument
@common_options
@pass_settings
def explain(settings: Settings, job: str) -> None:
    """Say why a run is in its state, and what to do about it."""
    with opened(settings) as backend:
        found = backend.job(job)
        why = backend.explain(found)
    if settings.output in ("json", "yaml"):
        click.echo(output.as_text(output.document(why), settings.output))
    elif settings.output == "name":
        click.echo(found.name)
    else:
        for line in explanation.lines(found, why, datetime.now(UTC)):
            click.echo(printable(line))
