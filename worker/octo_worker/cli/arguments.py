"""The command line's grammar. ``reference`` makes the documentation page from it."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from octo_core.domain.job import OnFileError
from octo_core.domain.selection import OverwritePolicy, SelectionPolicy

PROG = "octo-worker"
_POLICIES = [policy.value for policy in SelectionPolicy if policy is not SelectionPolicy.EXPLICIT]


def parser() -> argparse.ArgumentParser:
    """All commands. Without one the process does what its pod asks for."""
    top = argparse.ArgumentParser(
        prog=PROG,
        description="Fetches, decrypts, verifies and lands files, as an OctoProvider says.",
        epilog="Without a command it runs the run document of its pod.",
    )
    top.add_argument("--version", action="version", version=version("octo-worker"))
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, help_text, parts in (
        ("run", "Move the files that are selected.", (_provider, _secrets, _memory, _selection, _transfer, _output)),
        (
            "plan",
            "Show what would be fetched, and why each other file is not.",
            (_provider, _secrets, _selection, _output),
        ),
        ("verify", "Check connection, keys and bucket, step by step.", (_provider, _secrets, _memory, _output)),
        (
            "history",
            "Print what the manifests in the bucket tell of past runs, as JSON lines for `octo-api rebuild`.",
            (_provider, _secrets),
        ),
    ):
        command = commands.add_parser(name, help=help_text, description=help_text)
        for part in parts:
            part(command)
        if name == "run":
            command.add_argument(
                "--progress-seconds",
                type=_positive,
                default=10,
                metavar="N",
                help="Between two progress lines, where no terminal shows a bar.",
            )
    return top


def _provider(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--provider", type=Path, required=True, metavar="FILE", help="YAML file with the OctoProvider, as for kubectl."
    )
    command.add_argument("--name", metavar="NAME", help="Which one, if the file holds several.")


def _secrets(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--secrets",
        type=Path,
        metavar="DIR",
        help="Folder of secrets: `DIR/<name of the Secret>/<key>`. Default: `secrets` beside the provider's file.",
    )


def _memory(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--memory-dir",
        type=Path,
        metavar="DIR",
        help="Folder in memory (tmpfs) in which OpenPGP keys are unwrapped. Default: /dev/shm.",
    )


def _selection(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--policy", choices=_POLICIES, help="Which files are taken; over the provider's selection.policy."
    )
    for option, metavar, help_text in (
        ("--path", "FOLDER", "Folder to list, over the provider's; may be repeated."),
        ("--include", "GLOB", "Take what matches, over the provider's include; may be repeated."),
        ("--exclude", "GLOB", "Leave out what matches, over the provider's exclude; may be repeated."),
        ("--file", "PATH", "Take just this file, stored or not (policy Explicit); may be repeated."),
    ):
        command.add_argument(option, action="append", metavar=metavar, help=help_text)
    command.add_argument("--max-files", type=_positive, metavar="N", help="Take at most N files, the oldest first.")


def _transfer(command: argparse.ArgumentParser) -> None:
    command.add_argument("--job", metavar="NAME", help="Name of the run. Default: the provider's and the time.")
    command.add_argument("--dry-run", action="store_true", help="Move nothing: the same as `plan`.")
    command.add_argument(
        "--overwrite",
        choices=[policy.value for policy in OverwritePolicy],
        help="What becomes of an object that is already there; over the provider's jobDefaults.",
    )
    command.add_argument("--concurrent-files", type=_positive, metavar="N", help="Files in flight at once.")
    command.add_argument(
        "--on-file-error",
        choices=[policy.value for policy in OnFileError],
        help="How a run ends in which a file failed; the others are done either way.",
    )


def _output(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="One JSON object per line on standard output.")
    command.add_argument("-v", "--verbose", action="store_true", help="The worker's log, on standard error.")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


# argparse names the type in its message: "invalid number of 1 or more value: '0'".
_positive.__name__ = "number of 1 or more"
