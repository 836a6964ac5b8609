"""Every file has one worker, and keeps it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.shard import shard_of

paths = st.binary(max_size=300).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(st.lists(paths, unique=True, max_size=50), st.integers(1, 64))
def test_each_path_is_in_exactly_one_shard(listed: list[str], shards: int) -> None:
    taken = [path for shard in range(shards) for path in listed if shard_of(path, shards) == shard]
    assert Counter(taken) == Counter(listed)


@pytest.mark.parametrize(
    ("path", "of_2", "of_3", "of_64"),
    [
        ("", 0, 1, 20),
        ("daily/one.csv.gz.gpg", 1, 0, 37),
        ("/data/üñ/€.csv", 1, 1, 43),
        ("\udcff\udc80.csv", 0, 1, 42),
        ("a\nb", 1, 0, 3),
    ],
)
def test_a_file_stays_with_its_worker_whatever_version_that_is(path: str, of_2: int, of_3: int, of_64: int) -> None:
    assert (shard_of(path, 2), shard_of(path, 3), shard_of(path, 64)) == (of_2, of_3, of_64)


def test_the_shares_are_even() -> None:
    counts = Counter(shard_of(f"out/2026-01-02/file-{n}.csv.gz.gpg", 8) for n in range(8000))
    # 1,000 each are expected; six standard deviations are 177.
    assert all(820 < counts[shard] < 1180 for shard in range(8))
