"""What a glob matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_worker.globs import matches


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "deep/er/a.csv", True),
        ("/*.csv", "deep/a.csv", False),
        ("deep/*.csv", "deep/a.csv", True),
        ("deep/*.csv", "deep/er/a.csv", False),
        ("deep/**", "deep/er/a.csv", True),
        ("**/er/*", "deep/er/a.csv", True),
        ("**/er/*", "er/a.csv", True),
        ("a?.csv", "ab.csv", True),
        ("a?.csv", "a/.csv", False),
        ("[ab].csv", "b.csv", True),
        ("[!ab].csv", "b.csv", False),
        ("[!ab].csv", "c.csv", True),
        ("[0-9]*.csv", "7up.csv", True),
        ("[.csv", "[.csv", True),
        ("a+b(1).csv", "a+b(1).csv", True),
        ("*.csv", "a.csv.gpg", False),
        ("*.CSV", "a.csv", False),
        ("[z-a]", "x", False),
    ],
)
def test_globs(glob: str, path: str, expected: bool) -> None:
    assert matches(glob, path) is expected


@given(st.text(min_size=1, max_size=20), st.text(max_size=30))
def test_no_glob_is_an_error(glob: str, path: str) -> None:
    matches(glob, path)
