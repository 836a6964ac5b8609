"""``providers``: what can be run."""

from __future__ import annotations

from itertools import islice

import click

from octo_cli.backend import Order
from octo_cli.commands.shared import pass_settings, told
from octo_cli.connect import opened
from octo_cli.exits import Exit, exit_of_state
from octo_cli.follow import Patience, deadline, to_its_end
from octo_cli.settings import Settings, common_options
from octo_cli.show import columns, output, progress
from octo_cli.times import DURATION


@click.group()
@common_options
def providers() -> None:
    """Look at providers, and try them."""


@providers.command("ls")
@common_options
@pass_settings
def ls(settings: Settings) -> None:
    """List providers by name."""
    with opened(settings) as backend:
        output.listed(backend.providers(), columns.PROVIDERS, settings.output)


@providers.command()
@click.argument("name")
@common_options
@pass_settings
def get(settings: Settings, name: str) -> None:
    """Show one provider; all of it with -o yaml."""
    with opened(settings) as backend:
        output.one(backend.provider(name), columns.PROVIDERS, settings.output)


@providers.command()
@click.argument("name")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Wait no longer than that.")
@common_options
@pass_settings
def verify(settings: Settings, name: str, timeout: int | None) -> int:
    """Try every step of a run, from secrets to bucket, and move nothing."""
    patience = Patience(timeout)
    with opened(settings) as backend, deadline(timeout):
        found = backend.verify(name)
        said = 0
        while True:
            for check in found.checks[said:]:
                output.note(f"{check.outcome.value}: {check.name}")
            said = len(found.checks)
            if found.finished:
                break
            patience.rest(f"the verification of {name} is still {found.state.value}")
            found = backend.checks(found.job_id)
    if settings.output in ("json", "yaml"):
        click.echo(output.as_text(output.document(found), settings.output))
    else:
        output.listed(found.checks, columns.CHECKS, settings.output)
    code = exit_of_state(found.state.value)
    if code is not Exit.DONE and found.message:
        output.note(found.message)
    return code


@providers.command()
@click.argument("name")
@click.option("--path", "paths", multiple=True, metavar="PATH", help="Look only below this path of the server.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Wait no longer than that.")
@common_options
@pass_settings
def plan(settings: Settings, name: str, paths: tuple[str, ...], timeout: int | None) -> int:
    """Tell what a run would fetch now: a run that lists and selects, and moves nothing."""
    selection = {"dryRun": True, **({"paths": list(paths)} if paths else {})}
    patience = Patience(timeout)
    with opened(settings) as backend, deadline(timeout):
        job = backend.run(Order(name, {"selection": selection}))
        with progress.shown() as show:
            for seen in to_its_end(backend, job, patience):
                job = seen
                show(seen)
    if settings.output in ("json", "yaml", "name"):
        output.one(job, columns.JOBS, settings.output)
    elif job.progress is not None:
        counts = job.progress
        click.echo(
            f"{counts.files_listed or 0} files listed; would be fetched: {counts.files_selected or 0}; "
            f"left out: {counts.files_skipped or 0}"
        )
        click.echo(f"Why, file by file: octo logs {job.name}")
    return told(job)


@providers.command()
@click.argument("name")
@click.option("--path", metavar="PREFIX", help="Only files whose path begins so.")
@click.option("--limit", type=click.IntRange(min=1), metavar="NUMBER", help="At most so many; default: all.")
@common_options
@pass_settings
def ledger(settings: Settings, name: str, path: str | None, limit: int | None) -> None:
    """Show what is stored of a provider's files."""
    with opened(settings) as backend:
        output.listed(islice(backend.ledger(name, path_prefix=path), limit), columns.LEDGER, settings.output)
