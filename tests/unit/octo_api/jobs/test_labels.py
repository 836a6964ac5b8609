"""Labels: the selectors that are understood, and those that users may set."""

from __future__ import annotations

import re

import pytest

from octo_api.jobs.labels import SELECTOR_PATTERN, check_own, parse_selector
from octo_core.domain.errors import InvalidError


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        ("team=risk", (("team", "risk"),)),
        ("b=2,a==1", (("a", "1"), ("b", "2"))),
        ("a=1,a=1", (("a", "1"),)),
        ("example.com/team=risk", (("example.com/team", "risk"),)),
        ("empty=", (("empty", ""),)),
    ],
)
def test_equality_is_understood(selector: str, labels: tuple[tuple[str, str], ...]) -> None:
    assert re.match(SELECTOR_PATTERN, selector)
    assert parse_selector(selector) == labels


@pytest.mark.parametrize("selector", ["", "team", "a!=b", "a in (b)", "a=b,", "a=b c", "-a=b", "a=b\n", "a/b/c=d"])
def test_all_else_is_not(selector: str) -> None:
    assert not re.fullmatch(SELECTOR_PATTERN.removesuffix("$"), selector)


def test_octos_own_labels_are_not_a_users_to_set() -> None:
    check_own({"team": "risk", "octo.dev.example/x": "y"})
    for key in ("octo.dev/provider", "app.kubernetes.io/managed-by"):
        with pytest.raises(InvalidError):
            check_own({key: "x"})
