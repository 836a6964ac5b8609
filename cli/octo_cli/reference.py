"""The reference page of the command line. ``python -m octo_cli.reference FILE`` writes it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import click

from octo_cli.exits import MEANINGS
from octo_cli.main import grammar


def page() -> str:
    """The whole page, as Markdown."""
    context = click.Context(grammar, info_name="octo")
    lines = [
        "# octo",
        "",
        "Made from the command line's grammar by `make crds`; `octo COMMAND --help` shows the same.",
        "[The command line](../cli.md) says how to use it. `kubectl octo` takes the same commands.",
        "",
        "## Options of every command",
        "",
        "They stand before or after the command's name. Where a variable is named, it may say them instead.",
        "",
        *_options(grammar, context),
    ]
    common = {parameter.name for parameter in grammar.params}
    for name, command in _commands(grammar, context):
        usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=name)))
        lines += ["", f"## octo {name}", "", _sentence(command.help or ""), "", f"`octo {name} {usage}`"]
        options = _options(command, context, common)
        if len(options) > 2:
            lines += ["", *options]
    lines += ["", "## Exit codes", "", "| Code | Meaning |", "| --- | --- |"]
    lines += [f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, context: click.Context, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # noqa: S101 - it is listed
        if isinstance(command, click.Group):
            yield from _commands(command, context, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def _options(command: click.Command, context: click.Context, left_out: Collection[str | None] = ()) -> list[str]:
    rows = ["| Option | Meaning |", "| --- | --- |"]
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.name in left_out:
            continue
        rows.append(f"| {_form(parameter, context)} | {_meaning(parameter)} |")
    return rows


def _form(option: click.Option, context: click.Context) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    required = " (required)" if option.required else ""
    return (
        ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts)).replace("|", "\\|") + required
    )


def _meaning(option: click.Option) -> str:
    default = f" Default: {option.default}." if option.show_default else ""
    variable = f" `{option.envvar}`" if option.envvar else ""
    return f"{option.help}{default}{variable}".replace("|", "\\|")


def _sentence(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines()).strip()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
