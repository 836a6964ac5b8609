"""Which files a run takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.provider import OpenPgpMode, UnpackMode
from octo_core.domain.run import RunSelection
from octo_core.domain.selection import SelectionPolicy
from octo_worker.selection import Plan, make_plan, matches
from octo_worker.sources import FileStat, RemoteFile

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SELECTION = RunSelection(
    paths=(".",), include=(), exclude=(), policy=SelectionPolicy.NEW_ONLY, min_age_seconds=0, dry_run=False
)


def remote(path: str, *, root: str = "in", age: int = 3600, unusable: str | None = None) -> RemoteFile:
    folder, _, name = path.rpartition("/")
    stat = FileStat(1, NOW - timedelta(seconds=age))
    return RemoteFile(f"{root}/{path}", folder, name, stat, unusable)


def plan(*files: RemoteFile, stored: tuple[str, ...] = (), **changes: object) -> Plan:
    selection = SELECTION.model_copy(update=changes)
    return make_plan(files, set(stored), selection, prefix="p", pgp=OpenPgpMode.AUTO, unpack=UnpackMode.AUTO, now=NOW)


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


def test_signatures_globs_and_young_files_are_left_out() -> None:
    made = plan(
        remote("a.csv"),
        remote("a.csv.sig"),
        remote("b.xml"),
        remote("old/c.csv"),
        remote("d.csv", age=10),
        include=("*.csv", "*.sig"),
        exclude=("old/**",),
        min_age_seconds=60,
    )
    assert [target.file.name for target in made.new] == ["a.csv"]
    assert (made.listed, made.left_out) == (5, 4)


def test_what_is_stored_is_not_new() -> None:
    files = (remote("a.csv.gpg"), remote("d/b.tar.gz"), remote("c.csv"))
    stored = ("p/data/csv/a.csv", "p/archives/d/b.tar.gz.json")
    made = plan(*files, stored=stored)
    assert [target.key for target in made.new] == ["p/data/csv/c.csv"]
    assert [target.key for target in made.stored] == list(stored)
    everything = plan(*files, stored=stored, policy=SelectionPolicy.ALL)
    assert (len(everything.new), everything.stored) == (3, [])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (remote("a.csv"), remote("a.csv.gpg")),
        (remote("a.csv.gz"), remote("a.csv.gpg")),
        (remote("a.csv", root="in"), remote("a.csv", root="out")),
        (remote("a.tar"), remote("a.tgz")),
    ],
)
def test_two_files_for_one_place_are_both_refused(one: RemoteFile, other: RemoteFile) -> None:
    made = plan(one, other, stored=("p/data/csv/a.csv",), policy=SelectionPolicy.ALL)
    assert (made.new, made.stored) == ([], [])
    assert [file for file, _ in made.refused] == [one, other]
    assert all(one.path in why and other.path in why for _, why in made.refused)


def test_a_file_listed_twice_counts_once() -> None:
    made = plan(remote("a.csv"), remote("a.csv"))
    assert (made.listed, len(made.new), made.refused) == (1, 1, [])


def test_unusable_names_are_refused() -> None:
    made = plan(remote("a.csv", unusable="the name is not UTF-8"), remote("b\\c.csv"))
    assert [why for _, why in made.refused] == ["the name is not UTF-8", "the path has a backslash"]
