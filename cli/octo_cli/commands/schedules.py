"""``schedules``: what runs by itself."""

from __future__ import annotations

from datetime import datetime

import click

from octo_cli.commands.shared import awaited, key_option, pass_settings, waiting_options
from octo_cli.connect import opened
from octo_cli.follow import deadline
from octo_cli.settings import Settings, common_options
from octo_cli.show import columns, output
from octo_cli.times import MOMENT


@click.group()
@common_options
def schedules() -> None:
    """See when providers run by themselves, and have them run."""


@schedules.command("ls")
@common_options
@pass_settings
def ls(settings: Settings) -> None:
    """List the providers that have a schedule."""
    with opened(settings) as backend:
        found = [
            columns.Scheduled(provider, backend.schedule(provider.name, count=1))
            for provider in backend.providers()
            if provider.spec.get("schedule")
        ]
        output.listed(found, columns.SCHEDULES, settings.output)


@schedules.command("next")
@click.argument("provider")
@click.option(
    "--count", type=click.IntRange(1, 100), default=5, show_default=True, metavar="NUMBER", help="So many times."
)
@common_options
@pass_settings
def next_times(settings: Settings, provider: str, count: int) -> None:
    """Tell when a provider runs next."""
    with opened(settings) as backend:
        output.listed(backend.schedule(provider, count=count).next_times, columns.TICKS, settings.output)


@schedules.command()
@click.argument("provider")
@waiting_options
@key_option
@common_options
@pass_settings
def trigger(
    settings: Settings, provider: str, wait: bool, follow: bool, timeout: int | None, idempotency_key: str | None
) -> int:
    """Run a provider now as its schedule would."""
    with opened(settings) as backend, deadline(timeout if wait or follow else None):
        job = backend.trigger(provider, idempotency_key=idempotency_key)
        return awaited(backend, job, settings, wait=wait, follow=follow, timeout=timeout)


@schedules.command()
@click.argument("provider")
@click.option("--from", "start", type=MOMENT, required=True, metavar="TIME", help="The first moment that counts.")
@click.option("--to", "end", type=MOMENT, required=True, metavar="TIME", help="The first that does not count any more.")
@click.option("--dry-run", is_flag=True, help="Only tell which runs there would be.")
@common_options
@pass_settings
def backfill(settings: Settings, provider: str, start: datetime, end: datetime, dry_run: bool) -> None:
    """Make the runs of a span of the past that have not been made."""
    with opened(settings) as backend:
        output.listed(backend.backfill(provider, start, end, dry_run=dry_run).items, columns.BACKFILL, settings.output)
