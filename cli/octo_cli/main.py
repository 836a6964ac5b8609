"""The grammar, and how a command ends. Commands are imported when they are called, so that the others cost nothing."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from octo_cli.errors import CliError
from octo_cli.exits import Exit
from octo_cli.settings import Settings, global_options
from octo_cli.show.text import printable

VERSION = "0.1.0"


class Entry(NamedTuple):
    """Where a command is, and the first sentence of its help: shown without importing it."""

    target: str
    says: str


COMMANDS: dict[str, Entry] = {
    "run": Entry("octo_cli.commands.run:run", "Run a provider once."),
    "ls": Entry("octo_cli.commands.jobs:ls", "List runs, the newest first."),
    "get": Entry("octo_cli.commands.jobs:get", "Show one run."),
    "logs": Entry("octo_cli.commands.jobs:logs", "Show the log of a run."),
    "files": Entry("octo_cli.commands.jobs:files", "Show what became of each file of a run."),
    "explain": Entry("octo_cli.commands.jobs:explain", "Say why a run is in its state, and what to do about it."),
    "cancel": Entry("octo_cli.commands.run:cancel", "End a run."),
    "rerun": Entry("octo_cli.commands.run:rerun", "Run once more what a run that has ended did."),
    "providers": Entry("octo_cli.commands.providers:providers", "Look at providers, and try them."),
    "schedules": Entry(
        "octo_cli.commands.schedules:schedules", "See when providers run by themselves, and have them run."
    ),
    "keys": Entry("octo_cli.commands.keys:keys", "See, make, replace and end API keys."),
    "audit": Entry("octo_cli.commands.audit:audit", "Read the audit log, the newest first."),
    "login": Entry("octo_cli.commands.login:login", "Sign in to the server at URL with an API key."),
    "config": Entry("octo_cli.commands.config:config", "See and choose the servers that you have signed in to."),
    "completion": Entry(
        "octo_cli.commands.completion:completion",
        "Print the completion of a shell; `source <(octo completion bash)` makes it complete.",
    ),
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
        module, _, name = COMMANDS[cmd_name].target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above names commands
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list below the help."""
        width = formatter.width - 6 - max(map(len, COMMANDS))
        stubs = [click.Command(name, help=entry.says) for name, entry in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl([(str(stub.name), stub.get_short_help_str(width)) for stub in stubs])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may stand in a command's place."""
        commands = [
            CompletionItem(name, help=entry.says) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]


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
