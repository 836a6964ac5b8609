"""A definition of a newer release is never replaced by an older one."""

from __future__ import annotations

import itertools

import pytest

from octo_core.domain.releases import may_replace

# As semver.org orders them, and a number that is not to be compared as text.
IN_ORDER = (
    *("0.9.0", "0.10.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2"),
    *("1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "2.0.0"),
)


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(IN_ORDER, 2)))
def test_the_newer_replaces_the_older_alone(older: str, newer: str) -> None:
    assert may_replace(newer, older)
    assert not may_replace(older, newer)


@pytest.mark.parametrize("release", IN_ORDER)
def test_a_release_replaces_its_own(release: str) -> None:
    assert may_replace(release, release)
    assert may_replace(release, f"{release}+build.7")


def test_what_has_no_stamp_is_older_than_all() -> None:
    assert may_replace("0.1.0", None)


@pytest.mark.parametrize("stamp", ["", "latest", "1.0", "1.0.0.0", "1.0.0-", "\u0661.0.0", " 1.0.0"])
def test_what_nobody_can_read_is_left_alone(stamp: str) -> None:
    assert not may_replace("99.0.0", stamp)


def test_an_own_version_that_is_none_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="is no version"):
        may_replace("main", "1.0.0")
