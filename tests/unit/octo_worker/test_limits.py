"""Bombs are stopped where the limits say, and honest files are not."""

from __future__ import annotations

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed
from octo_worker.limits import RATIO_FREE_BYTES, EntryMeter, ExpansionMeter, MemoryBudget


def test_the_ratio_counts_past_the_free_bytes_only() -> None:
    meter = ExpansionMeter(1, Unpack(max_ratio=2))
    meter.add(RATIO_FREE_BYTES)
    with pytest.raises(Failed, match="maxRatio") as caught:
        meter.add(1)
    assert caught.value.category is Category.UNPACK_LIMIT
    ExpansionMeter(RATIO_FREE_BYTES, Unpack(max_ratio=2)).add(2 * RATIO_FREE_BYTES)


def test_expanded_bytes_are_limited_from_the_first() -> None:
    meter = ExpansionMeter(1000, Unpack(max_expanded_bytes=10))
    meter.add(10)
    with pytest.raises(Failed, match="maxExpandedBytes"):
        meter.add(1)


def test_entries_are_limited() -> None:
    meter = EntryMeter(Unpack(max_entries=2))
    meter.add()
    meter.add()
    with pytest.raises(Failed, match="maxEntries"):
        meter.add()


def test_the_budget_never_gives_more_than_it_has() -> None:
    budget = MemoryBudget(10)
    assert budget.take(6)
    assert not budget.take(5)
    budget.give_back(6)
    assert budget.take(10)
