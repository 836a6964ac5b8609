"""``run``, ``cancel``, ``rerun``: what changes runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from octo_cli.backend import Order
from octo_cli.commands.shared import awaited, job_argument, key_option, pairs, pass_settings, waiting_options
from octo_cli.connect import opened
from octo_cli.follow import deadline
from octo_cli.settings import Settings, common_options
from octo_cli.show import columns, output
from octo_cli.times import MOMENT


@click.command()
@click.argument("provider")
@waiting_options
@key_option
@click.option("--param", "-p", "params", multiple=True, metavar="KEY=VALUE", help="A parameter for the main logic.")
@click.option("--label", "-l", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the run.")
@click.option("--path", "paths", multiple=True, metavar="PATH", help="Look only below this path of the server.")
@click.option("--include", multiple=True, metavar="GLOB", help="Take only files like this.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out files like this.")
@click.option("--dry-run", is_flag=True, help="List and select, move nothing.")
@click.option("--priority", type=int, metavar="NUMBER", help="Higher goes first.")
@click.option("--start-after", type=MOMENT, metavar="TIME", help="Not before that.")
@common_options
@pass_settings
def run(
    settings: Settings,
    provider: str,
    wait: bool,
    follow: bool,
    timeout: int | None,
    idempotency_key: str | None,
    params: tuple[str, ...],
    labels: tuple[str, ...],
    paths: tuple[str, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    dry_run: bool,
    priority: int | None,
    start_after: datetime | None,
) -> int:
    """Run a provider once."""
    selection: dict[str, Any] = {
        **({"paths": list(paths)} if paths else {}),
        **({"include": list(include)} if include else {}),
        **({"exclude": list(exclude)} if exclude else {}),
        **({"dryRun": True} if dry_run else {}),
    }
    options: dict[str, Any] = {
        **({"parameters": pairs(params, "--param")} if params else {}),
        **({"selection": selection} if selection else {}),
        **({"priority": priority} if priority is not None else {}),
        **({"startAfter": output.document(start_after)} if start_after else {}),
    }
    order = Order(provider, options, pairs(labels, "--label"), idempotency_key)
    with opened(settings) as backend, deadline(timeout if wait or follow else None):
        return awaited(backend, backend.run(order), settings, wait=wait, follow=follow, timeout=timeout)


@click.command()
@job_argument
@click.option("--reason", metavar="TEXT", help="Kept with the run.")
@click.option("--force", is_flag=True, help="Give the worker no time to end cleanly.")
@click.option("--wait", "-w", is_flag=True, help="Wait until it has ended.")
@common_options
@pass_settings
def cancel(settings: Settings, job: str, reason: str | None, force: bool, wait: bool) -> int:
    """End a run."""
    with opened(settings) as backend:
        asked = backend.cancel(backend.job(job), reason=reason, force=force)
        if not wait:
            output.one(asked, columns.JOBS, settings.output)
            return 0
        code = awaited(backend, asked, settings, wait=True, follow=False, timeout=None)
        # Cancelled is what was wished for here.
        return 0 if code == 6 else code


@click.command()
@job_argument
@click.option("--failed", is_flag=True, help="Only the files that failed.")
@waiting_options
@key_option
@common_options
@pass_settings
def rerun(
    settings: Settings,
    job: str,
    failed: bool,
    wait: bool,
    follow: bool,
    timeout: int | None,
    idempotency_key: str | None,
) -> int:
    """Run once more what a run that has ended did."""
    with opened(settings) as backend, deadline(timeout if wait or follow else None):
        again = backend.rerun(backend.job(job), failed_files=failed, idempotency_key=idempotency_key)
        return awaited(backend, again, settings, wait=wait, follow=follow, timeout=timeout)
