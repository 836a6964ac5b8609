"""``login``: sign in to a server."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from octo_cli.commands.shared import pass_settings
from octo_cli.config import Context
from octo_cli.errors import CliError
from octo_cli.exits import Exit
from octo_cli.settings import Settings
from octo_cli.show import output


@click.command()
@click.argument("url")
@click.option("--name", metavar="NAME", help="Of the context; default: the server's host.")
@click.option("--namespace", "-n", metavar="NAME", help="Unless a command says another.")
@click.option("--api-key-stdin", is_flag=True, help="The API key comes on standard input.")
@click.option(
    "--api-key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The API key is in this file. The file is remembered, and read again when the sign-in ends.",
)
@pass_settings
def login(
    settings: Settings,
    url: str,
    name: str | None,
    namespace: str | None,
    api_key_stdin: bool,
    api_key_file: Path | None,
) -> None:
    """Sign in to the server at URL with an API key.

    The key is asked for, or comes from a file or standard input, and is not kept: what is kept, for your eyes only,
    is the short-lived token that the server gives for it.
    """
    from dataclasses import replace

    from octo_cli import config
    from octo_cli.connect import signed_in
    from octo_cli.session import read_key

    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise CliError(f"{url!r} is not the address of a server", Exit.USAGE, "Such as https://octo.example.com")
    if api_key_file is not None:
        key = read_key(api_key_file)
    elif api_key_stdin or not sys.stdin.isatty():
        key = sys.stdin.readline().strip()
    else:
        key = click.prompt("API key", hide_input=True, err=True).strip()
    if not key:
        raise CliError("no API key was given", Exit.USAGE)
    context = Context(
        name=name or address.hostname,
        server=url.rstrip("/"),
        namespace=namespace,
        api_key_file=str(api_key_file.absolute()) if api_key_file else None,
    )
    signed = signed_in(context, key)
    config.save(replace(config.load(), current=signed.name))
    until = f" until {output.document(signed.token_expires_at)}" if signed.token_expires_at else ""
    output.note(f"signed in to {signed.server} as context {signed.name}{until}")
