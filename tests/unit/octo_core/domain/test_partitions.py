"""Every run is decided by one controller, whatever their number and whatever label it carries."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.names import LABEL_PARTITION
from octo_core.domain.partitions import MAX_SHARDS, PARTITIONS, Share, partition_labels, partition_of

COUNTS = (1, 2, 3, 5, MAX_SHARDS)


def selects(selector: str, labels: dict[str, str]) -> bool:
    """What the API server makes of the selectors that are used here."""
    if not selector:
        return True
    found = re.fullmatch(rf"{LABEL_PARTITION} (in|notin) \(([\d,]+)\)", selector)
    assert found, selector
    inside = labels.get(LABEL_PARTITION) in found[2].split(",")
    return inside if found[1] == "in" else not inside


def test_partitions_are_a_promise() -> None:
    assert PARTITIONS == 64
    assert [partition_of("octo", name) for name in ("bank", "demo", "vendor")] == [30, 50, 59]
    assert partition_labels("octo", "bank") == {"octo.dev/partition": "30"}


@pytest.mark.parametrize("count", COUNTS)
@given(label=st.one_of(st.none(), st.integers(-5, 200).map(str), st.sampled_from(["", "x", "01"])))
def test_each_object_is_watched_by_exactly_one_whatever_its_label(count: int, label: str | None) -> None:
    labels = {} if label is None else {LABEL_PARTITION: label}
    assert sum(selects(Share(index, count).selector(), labels) for index in range(count)) == 1


@pytest.mark.parametrize("count", COUNTS)
def test_each_partition_has_one_owner_who_watches_it(count: int) -> None:
    for partition in range(PARTITIONS):
        owners = [share for index in range(count) if (share := Share(index, count)).owns(partition)]
        assert len(owners) == 1
        assert selects(owners[0].selector(), {LABEL_PARTITION: str(partition)})


def test_work_is_spread() -> None:
    share = Share(1, 4)
    mine = sum(share.owns(partition_of("octo", f"provider-{number}")) for number in range(2000))
    assert 400 < mine < 600


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (Share(0, 1), Share(1, 2), True),
        (Share(0, 2), Share(1, 2), False),
        (Share(0, 2), Share(1, 4), False),
        (Share(0, 2), Share(2, 4), True),
        (Share(1, 2), Share(2, 3), True),
    ],
)
def test_shares_of_two_layouts_meet_where_they_have_a_partition_in_common(one: Share, other: Share, meet: bool) -> None:
    assert one.meets(other) is other.meets(one) is meet


@given(total=st.integers(0, 500), count=st.integers(1, MAX_SHARDS))
def test_parts_add_up(total: int, count: int) -> None:
    parts = [Share(index, count).part_of(total) for index in range(count)]
    assert sum(parts) == total
    assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize(("index", "count"), [(1, 1), (-1, 2), (0, 0), (0, MAX_SHARDS + 1)])
def test_there_is_no_such_share(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="there is no controller"):
        Share(index, count)
