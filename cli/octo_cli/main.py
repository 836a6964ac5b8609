"""The grammar, and how a command ends. Commands are imported when they are called, so that the others cost nothing."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from octo_cli.errors import CliError
from octo_cli.exits import Exit
from octo_cli.settings import Settings, global_options
from octo_cli.show.text import printable

VERSION = "0.1.0"

COMMANDS: dict[str, str] = {
    "run": "octo_cli.commands.run:run",
    "ls": "octo_cli.commands.jobs:ls",
    "get": "octo_cli.commands.jobs:get",
    "logs": "octo_cli.commands.jobs:logs",
    "files": "octo_cli.commands.jobs:files",
    "explain": "octo_cli.commands.jobs:explain",
    "cancel": "octo_cli.commands.run:cancel",
    "rerun": "octo_cli.commands.run:rerun",
    "providers": "octo_cli.commands.providers:providers",
    "schedules": "octo_cli.commands.schedules:schedules",
    "keys": "octo_cli.commands.keys:keys",
    "audit": "octo_cli.commands.audit:audit",
    "login": "octo_cli.commands.login:login",
    "config": "octo_cli.commands.config:config",
    "completion": "octo_cli.commands.completion:completion",
}


class Lazy(click.Group):
    """A group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the grammar."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import it."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above names commands
        return command


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@global_options
@click.version_option(VERSION, message="octo %(version)s")
def grammar() -> None:
    """Runs of Octo: ask for them, follow them, and find out why they failed.

    Over REST, once you have signed in with `octo login`; or with a kubeconfig alone, as `kubectl octo` or by
    --kubeconfig.
    """


def execute(arguments: Sequence[str] | None, *, program: str, plugin: bool) -> int:
    """Run one command line; returns its exit code."""
    try:
        done: Any = grammar.main(
            args=None if arguments is None else list(arguments),
            prog_name=program,
            standalone_mode=False,
            obj=Settings(plugin=plugin),
            complete_var="_KUBECTL_OCTO_COMPLETE" if plugin else "_OCTO_COMPLETE",
        )
        return done if isinstance(done, int) else Exit.DONE
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except CliError as error:
        click.echo(f"{program}: {printable(error.message)}", err=True)
        if error.hint:
            click.echo(f"  {printable(error.hint)}", err=True)
        return error.code
    except BrokenPipeError:
        # The reader has seen enough. Nothing may be written at the end of the process either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except Exception as error:
        if os.environ.get("OCTO_DEBUG"):
            raise
        click.echo(f"{program}: an error of its own: {type(error).__name__}: {printable(str(error))}", err=True)
        click.echo("  OCTO_DEBUG=1 shows where.", err=True)
        return Exit.BROKEN


def octo() -> None:
    """``octo``."""
    sys.exit(execute(None, program="octo", plugin=False))


def kubectl_octo() -> None:
    """``kubectl-octo``: kubectl finds it on the PATH and calls it as ``kubectl octo``."""
    sys.exit(execute(None, program="kubectl octo", plugin=True))
