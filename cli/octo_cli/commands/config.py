"""``config``: contexts."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from octo_cli import config as contexts
from octo_cli.commands.shared import pass_settings
from octo_cli.settings import Settings, common_options
from octo_cli.show import output
from octo_cli.show.columns import Column, Table, until


@click.group()
def config() -> None:
    """See and choose the servers that you have signed in to."""


@config.command("contexts")
@common_options
@pass_settings
def list_contexts(settings: Settings) -> None:
    """List contexts."""
    known = contexts.load()
    table: Table[contexts.Context] = Table(
        (
            Column("IN-USE", lambda each, now: "*" if each.name == known.current else None),
            Column("NAME", lambda each, now: each.name),
            Column("SERVER", lambda each, now: each.server),
            Column("NAMESPACE", lambda each, now: each.namespace),
            Column("SIGNED-IN-FOR", lambda each, now: until(each.token_expires_at, now) if each.fresh(now) else None),
        ),
        name=lambda each: each.name,
    )
    if settings.output in ("json", "yaml"):
        items = [
            {"name": each.name, "server": each.server, "namespace": each.namespace, "inUse": each.name == known.current}
            for each in known.contexts.values()
        ]
        click.echo(output.as_text({"items": items}, settings.output))
    else:
        output.listed(known.contexts.values(), table, settings.output, now=datetime.now(UTC))


@config.command()
@click.argument("name")
def use(name: str) -> None:
    """Use this context from now on."""
    contexts.save(contexts.load().using(name))


@config.command()
@click.argument("name")
def rm(name: str) -> None:
    """Forget this context, and its token."""
    contexts.save(contexts.load().without(name))


@config.command()
def path() -> None:
    """Tell where the contexts are kept."""
    click.echo(contexts.path())
