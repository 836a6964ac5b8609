"""The reference page of the command line. ``python -m octo_worker.cli.reference FILE`` writes it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from octo_core.domain.failure import EXIT_CODES, RESOLUTIONS
from octo_worker.cli.arguments import parser


def page() -> str:
    """The whole page, as Markdown."""
    top = parser()
    lines = [
        "# octo-worker",
        "",
        "Made from the command line's grammar by `make crds`; `octo-worker COMMAND --help` shows the same.",
        "[Run it on a laptop](../worker.md) says how to use it.",
        "",
        str(top.epilog),
    ]
    for name, command in _commands(top):
        lines += [
            "",
            f"## octo-worker {name}",
            "",
            str(command.description),
            "",
            "| Option | Meaning |",
            "| --- | --- |",
        ]
        for action in command._actions:
            if not isinstance(action, argparse._HelpAction):
                lines.append(f"| {_form(action)} | {_meaning(action)} |")
    lines += [
        "",
        "## Exit codes",
        "",
        "| Code | Category | What to do |",
        "| --- | --- | --- |",
        "| 0 | | all is well |",
        "| 2 | | correct the command line |",
    ]
    lines += [f"| {code} | {category} | {RESOLUTIONS[category]} |" for category, code in EXIT_CODES.items()]
    return "\n".join(lines) + "\n"


def _commands(top: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    # argparse has no public way to its own grammar.
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _form(action: argparse.Action) -> str:
    value = ""
    if action.nargs != 0:
        value = f" {action.metavar}" if action.metavar else f" {{{','.join(map(str, action.choices or ()))}}}"
    required = " (required)" if action.required else ""
    return ", ".join(f"`{option}{value}`" for option in action.option_strings) + required


def _meaning(action: argparse.Action) -> str:
    said = f" Default: {action.default}." if action.default not in (None, False) else ""
    return f"{action.help}{said}".replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
