"""The reference page of the chart's values. ``python -m deploy.chart.values_page VALUES FILE`` writes it.

The comment right above a value is its documentation; that above a whole block stands before the block's table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HEAD = """# Values of the chart

Made from `charts/octo/values.yaml` by `make values`. `charts/octo/values.schema.json` refuses what is not here.
"""


class UndocumentedError(Exception):
    """A value without a comment."""


@dataclass(frozen=True, slots=True)
class Value:
    """One that can be set."""

    path: str
    default: Any
    comment: str


def values(text: str) -> Iterator[Value]:
    """Every value, in the order of the file; a block whose keys have no comments, such as resources, is one.

    Raises UndocumentedError.
    """
    yield from _below(_root(text), (), text.splitlines())


def _root(text: str) -> yaml.MappingNode:
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("values are a mapping")
    return root


def _below(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key, child in node.value:
        here = (*path, key.value)
        comment = _comment(lines, key.start_mark.line)
        if isinstance(child, yaml.MappingNode) and _is_block(child, lines):
            yield from _below(child, here, lines)
            continue
        if not comment:
            raise UndocumentedError(".".join(here))
        yield Value(".".join(here), yaml.safe_load(yaml.serialize(child)), comment)


def _is_block(node: yaml.Node, lines: list[str]) -> bool:
    """Whether it is a mapping with comments in it."""
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return False
    return any(_comment(lines, key.start_mark.line) or _is_block(child, lines) for key, child in node.value)


def _comment(lines: list[str], line: int) -> str:
    """The comment that ends right above a line."""
    found: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].lstrip().removeprefix("#").strip())
    return " ".join(part for part in found if part)


def page(text: str) -> str:
    """The whole page, as Markdown."""
    lines = text.splitlines()
    blocks = {
        key.value: _comment(lines, key.start_mark.line) for key, child in _root(text).value if _is_block(child, lines)
    }
    sections: dict[str, list[Value]] = {}
    for value in values(text):
        top = value.path.split(".")[0]
        sections.setdefault(top if top in blocks else "", []).append(value)
    parts = [HEAD]
    for name, found in sections.items():
        if name:
            parts.append(f"## {name}\n")
        if blocks.get(name):
            parts.append(f"{blocks[name]}\n")
        rows = [f"| `{value.path}` | `{json.dumps(value.default)}` | {_cell(value.comment)} |" for value in found]
        parts.append("\n".join(["| Value | Default | Meaning |", "| --- | --- | --- |", *rows]) + "\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(Path(sys.argv[1]).read_text()))
