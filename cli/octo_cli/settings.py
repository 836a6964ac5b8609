"""What an invocation was told: options that every command takes, before or after its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("table", "wide", "json", "yaml", "name")


@dataclass(slots=True)
class Settings:
    """Which Octo to talk to, and how to show what it says."""

    plugin: bool = False
    """Whether kubectl started it: then the cluster's API is the way."""
    context: str | None = None
    kubeconfig: Path | None = None
    namespace: str | None = None
    server: str | None = None
    api_key_file: Path | None = None
    output: str = "table"


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is not None and parameter.name is not None:
        setattr(context.ensure_object(Settings), parameter.name, value)


_FILE = click.Path(dir_okay=False, path_type=Path)


def _options(*, environment: bool) -> list[Callable[[F], F]]:
    # From the environment once, at the top: there it cannot override what was said on the command line.
    def option(*names: str, variable: str | None = None, **more: Any) -> Callable[[F], F]:
        return click.option(
            *names, envvar=variable if environment else None, expose_value=False, callback=_keep, **more
        )

    return [
        option("--output", "-o", type=click.Choice(FORMATS), help="How to show it."),
        option("--namespace", "-n", metavar="NAME", variable="OCTO_NAMESPACE", help="Of runs and providers."),
        option(
            "--context",
            metavar="NAME",
            variable="OCTO_CONTEXT",
            help="Of `octo config contexts`; with a kubeconfig, one of that.",
        ),
        option("--kubeconfig", type=_FILE, metavar="FILE", help="Use this cluster's API instead of Octo's server."),
        option("--server", metavar="URL", variable="OCTO_SERVER", help="Octo's server, without a context."),
        option(
            "--api-key-file",
            type=_FILE,
            metavar="FILE",
            variable="OCTO_API_KEY_FILE",
            help="With --server: the API key is in this file.",
        ),
    ]


def global_options(command: F) -> F:
    """For the top of the grammar: the options, and where the environment says them."""
    for option in reversed(_options(environment=True)):
        command = option(command)
    return command


def common_options(command: F) -> F:
    """For each command: the same options."""
    for option in reversed(_options(environment=False)):
        command = option(command)
    return command
