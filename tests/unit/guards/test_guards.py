"""Every guard is where its table says, and on its page. That the tests notice is seen by ``make guards``."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.guards.__main__ import PAGE
from tests.guards.guard import INVARIANTS, PACKAGE, ROOT, TESTS, Guard, GuardError
from tests.guards.page import page
from tests.guards.table import GUARDS


def test_each_text_stands_once_in_its_file_and_the_tests_are_there() -> None:
    for guard in GUARDS:
        ast.parse(guard.changed())
        for test in guard.tests:
            file, _, name = test.partition("::")
            name = name.rpartition("::")[2].partition("[")[0]
            assert f"def {name}(" in (ROOT / TESTS / file).read_text(encoding="utf-8"), test


def test_each_invariant_has_some() -> None:
    assert {guard.invariant for guard in GUARDS} == set(INVARIANTS)
    assert len({(guard.file, guard.text, guard.without) for guard in GUARDS}) == len(GUARDS)


def test_the_page_is_of_this_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(GUARDS), "run `make guards`"


def test_a_guard_that_is_not_there_is_an_error() -> None:
    with pytest.raises(GuardError, match="0 times"):
        Guard(1, "none", "app.py", "no such text", "", ()).changed()


def test_a_copy_has_all_but_the_guard(tmp_path: Path) -> None:
    GUARDS[0].take_out(tmp_path)
    changed = (tmp_path / PACKAGE / GUARDS[0].file).read_text(encoding="utf-8")
    assert changed == GUARDS[0].changed()
    assert GUARDS[0].text not in changed
    assert (tmp_path / PACKAGE / "app.py").exists()
