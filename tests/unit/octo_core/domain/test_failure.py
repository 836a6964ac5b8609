"""Every category has its exit code and its advice."""

from __future__ import annotations

import pytest

from octo_core.domain.failure import EXIT_CODES, RESOLUTIONS, Category, category_of_exit_code


@pytest.mark.parametrize("category", list(Category))
def test_a_category_is_told_from_its_exit_code(category: Category) -> None:
    assert category_of_exit_code(EXIT_CODES[category]) == category
    assert RESOLUTIONS[category]


@pytest.mark.parametrize(("code", "expected"), [(0, None), (2, Category.UNKNOWN), (137, Category.UNKNOWN)])
def test_other_exit_codes(code: int, expected: Category | None) -> None:
    assert category_of_exit_code(code) == expected


def test_exit_codes_are_distinct() -> None:
    assert len(set(EXIT_CODES.values())) == len(Category)
