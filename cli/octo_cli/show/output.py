"""Writes what was found in the form that was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any, TypeVar

import click

from octo_cli.show.columns import Table
from octo_cli.show.text import printable

T = TypeVar("T")

_COLOURS = {
    "Succeeded": "green",
    "Passed": "green",
    "Failed": "red",
    "Denied": "red",
    "Cancelled": "yellow",
    "Cancelling": "yellow",
    "Retrying": "yellow",
    "Running": "cyan",
    "Starting": "cyan",
}
_ENDLESS = 100_000


def document(value: Any) -> Any:
    """Plain data, as REST would say it."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if hasattr(value, "__dataclass_fields__"):
        return {name: document(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [document(item) for item in value] if isinstance(value, (list, tuple)) else value


def as_text(value: Any, form: str) -> str:
    """A document as JSON or YAML."""
    if form == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip("\n")


def listed(items: Iterable[T], table: Table[T], form: str, *, now: datetime | None = None, heads: bool = True) -> None:
    """A list. Rows are read before the first is shown, since columns are as wide as the widest."""
    found = list(items)
    if form == "name":
        for item in found:
            click.echo(printable(table.name(item)))
    elif form in ("json", "yaml"):
        click.echo(as_text({"items": [document(item) for item in found]}, form))
    elif found:
        moment = now or datetime.now(UTC)
        wide = form == "wide"
        rows = [table.cells(item, moment, wide=wide) for item in found]
        click.echo(grid(table.heads(wide=wide) if heads else None, rows), nl=False)
    else:
        click.echo("Nothing found.", err=True)


def one(item: T, table: Table[T], form: str) -> None:
    """A single thing."""
    if form in ("json", "yaml"):
        click.echo(as_text(document(item), form))
    else:
        listed([item], table, form)


def grid(heads: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns; in colour on a terminal. Lines are as long as they are: the terminal may wrap them."""
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    colour = sys.stdout.isatty()
    count = len(heads or rows[0])
    made = Grid(box=None, show_header=heads is not None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in range(count):
        made.add_column(heads[column] if heads else "", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(printable(cell), style=_COLOURS.get(cell, "") if colour else "") for cell in row))
    out = StringIO()
    Console(file=out, width=_ENDLESS, force_terminal=colour, no_color=not colour, highlight=False).print(made)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def note(text: str) -> None:
    """For the person, beside the result: on standard error."""
    click.echo(printable(text), err=True)
