"""``audit``: who did what."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import click

from octo_cli.backend import AuditFilter
from octo_cli.commands.shared import choice, pass_settings
from octo_cli.connect import opened
from octo_cli.settings import Settings, common_options
from octo_cli.show import columns, output
from octo_cli.times import MOMENT


@click.command()
@click.option("--actor", metavar="SUBJECT", help="Only what they did.")
@click.option("--action", metavar="NOUN.VERB", help="Only this, such as jobs.create.")
@click.option("--outcome", type=choice(("Allowed", "Denied")), metavar="OUTCOME", help="Allowed or Denied.")
@click.option("--resource", metavar="ID", help="Only what was done to this.")
@click.option("--since", type=MOMENT, metavar="TIME", help="At that time or later; 2h means two hours ago.")
@click.option("--until", type=MOMENT, metavar="TIME", help="Before that time.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="NUMBER", help="At most so many."
)
@common_options
@pass_settings
def audit(
    settings: Settings,
    actor: str | None,
    action: str | None,
    outcome: str | None,
    resource: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> None:
    """Read the audit log, the newest first."""
    wanted = AuditFilter(actor, action, outcome, resource, since, until)
    with opened(settings) as backend:
        output.listed(islice(backend.audit(wanted), limit), columns.AUDIT, settings.output)
