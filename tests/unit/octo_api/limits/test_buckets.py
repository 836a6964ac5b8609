"""Token buckets, on a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from octo_api.limits.buckets import Buckets


class Clock:
    now = datetime(2026, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_a_bucket_empties_and_fills() -> None:
    clock = Clock()
    buckets = Buckets(size=3, fill_seconds=30, clock=clock)
    assert [buckets.take("a").remaining for _ in range(3)] == [2, 1, 0]
    refused = buckets.take("a")
    assert (refused.allowed, refused.retry_seconds, refused.reset_seconds) == (False, 10, 30)
    assert buckets.take("b").allowed
    clock.now += timedelta(seconds=9)
    assert not buckets.look("a").allowed
    clock.now += timedelta(seconds=1)
    assert buckets.look("a").allowed
    assert buckets.take("a").allowed
    assert not buckets.take("a").allowed
    clock.now += timedelta(days=1)
    assert buckets.look("a").remaining == 3


def test_a_clock_set_back_neither_fills_nor_locks() -> None:
    clock = Clock()
    buckets = Buckets(size=1, fill_seconds=10, clock=clock)
    assert buckets.take("a").allowed
    clock.now -= timedelta(hours=1)
    refused = buckets.take("a")
    assert not refused.allowed
    clock.now += timedelta(seconds=refused.retry_seconds)
    assert buckets.take("a").allowed


def test_memory_is_bounded() -> None:
    clock = Clock()
    buckets = Buckets(size=1, fill_seconds=10, clock=clock)
    assert buckets.take("first").allowed
    for number in range(20_000):
        buckets.take(str(number))
    assert buckets.take("first").allowed
