"""The tables in docs/ say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from octo_core.domain.failure import EXIT_CODES, RETRYABLE_BY_DEFAULT, Category
from octo_core.domain.status import ConditionType, State

CONCEPTS = (Path(__file__).parents[3] / "docs" / "concepts.md").read_text()


def first_cells(heading: str) -> list[str]:
    section = CONCEPTS.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)
    return [name for cell in cells if not set(cell) <= {"-", " "} for name in cell.split(", ")]


@pytest.mark.parametrize("category", list(Category))
def test_a_category_has_its_exit_code_and_default(category: Category) -> None:
    retried = "yes" if category in RETRYABLE_BY_DEFAULT else "no"
    assert f"| {category} | {EXIT_CODES[category]} | {retried} |" in CONCEPTS


def test_every_state_and_condition_is_told() -> None:
    assert set(first_cells("States")) - {"State", "Condition"} == {*State, *ConditionType}
