"""Each threat in docs/security.md names tests that are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.documents import ROOT

_NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def threats() -> dict[str, str]:
    """What each row of the table says of tests, by its threat."""
    lines = (ROOT / "docs" / "security.md").read_text().splitlines()
    begin = lines.index("| --- | --- | --- |", lines.index("## What the API is held to"))
    found = {}
    for line in lines[begin + 1 :]:
        if not line.startswith("|"):
            break
        threat, _, tests = (cell.strip() for cell in line.strip("|").split(" | "))
        found[threat] = tests
    return found


THREATS = threats()


def test_the_table_is_read() -> None:
    assert len(THREATS) >= 12


@pytest.mark.parametrize("threat", THREATS)
def test_its_tests_are_there(threat: str) -> None:
    named = _NAMED.findall(THREATS[threat])
    assert named, "no test is named"
    assert re.sub(_NAMED, "", THREATS[threat]).strip(", ") == "", "something that is no test"
    for path, name in named:
        folder = "tests/unit/octo_api" if path.startswith("unit/") else "tests/integration/api"
        tree = ast.parse((ROOT / folder / path.removeprefix("unit/")).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}, (
            f"{path} has no {name}"
        )
