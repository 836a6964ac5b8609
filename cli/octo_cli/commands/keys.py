"""``keys``: API keys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from octo_cli.backend import KeyOrder
from octo_cli.commands.shared import pass_settings
from octo_cli.connect import opened
from octo_cli.settings import Settings, common_options
from octo_cli.show import columns, output
from octo_cli.times import DURATION

if TYPE_CHECKING:
    from octo_client import models


@click.group()
@common_options
def keys() -> None:
    """See, make, replace and end API keys."""


@keys.command("ls")
@click.option("--subject", metavar="NAME", help="Only theirs.")
@common_options
@pass_settings
def ls(settings: Settings, subject: str | None) -> None:
    """List keys, the newest first."""
    with opened(settings) as backend:
        output.listed(backend.keys(subject=subject), columns.KEYS, settings.output)


@keys.command()
@click.argument("subject")
@click.option(
    "--scope", "scopes", multiple=True, required=True, metavar="SCOPE", help="Such as jobs:create; repeat it."
)
@click.option(
    "--for-namespace", "namespaces", multiple=True, required=True, metavar="NAME", help="Where it may act; * for all."
)
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@click.option("--expires-in", type=DURATION, metavar="DURATION", help="Such as 90d.")
@common_options
@pass_settings
def create(
    settings: Settings,
    subject: str,
    scopes: tuple[str, ...],
    namespaces: tuple[str, ...],
    description: str,
    expires_in: int | None,
) -> None:
    """Make a key. Its secret is shown this once, alone on standard output."""
    order = KeyOrder(subject, scopes, namespaces, description, _end(expires_in))
    with opened(settings) as backend:
        _show(backend.create_key(order), settings)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--overlap", type=DURATION, metavar="DURATION", help="How long the old one goes on.")
@common_options
@pass_settings
def rotate(settings: Settings, key_id: str, overlap: int | None) -> None:
    """Make a key that follows this one. Its secret is shown this once, alone on standard output."""
    with opened(settings) as backend:
        _show(backend.rotate_key(key_id, overlap_seconds=overlap), settings)


@keys.command()
@click.argument("key_id", metavar="ID")
@common_options
@pass_settings
def revoke(settings: Settings, key_id: str) -> None:
    """End a key."""
    with opened(settings) as backend:
        output.one(backend.revoke_key(key_id), columns.KEYS, settings.output)


def _end(seconds: int | None) -> datetime | None:
    from datetime import UTC, timedelta

    return None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)


def _show(key: models.NewApiKey, settings: Settings) -> None:
    if settings.output in ("json", "yaml"):
        click.echo(output.as_text(output.document(key), settings.output))
        return
    output.note(f"key {key.id} of {key.subject}; it cannot be shown again:")
    click.echo(key.key)
