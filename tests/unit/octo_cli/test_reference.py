"""The reference page is what the grammar says."""

from __future__ import annotations

from pathlib import Path

from octo_cli.exits import MEANINGS
from octo_cli.reference import page

DOCS = Path(__file__).parents[3] / "docs"


def test_the_reference_is_fresh() -> None:
    assert page() == (DOCS / "reference" / "cli.md").read_text(), "run `make crds`"


def test_the_page_for_people_tells_each_exit_code() -> None:
    text = (DOCS / "cli.md").read_text()
    for code in MEANINGS:
        assert f"| {int(code)} |" in text
