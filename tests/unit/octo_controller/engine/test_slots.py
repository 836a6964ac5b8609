"""Slots for work that may wait."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octo_controller.engine.slots import FASTEST, KEPT, SLOWEST, Grace, Slots, pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_few_go_at_once_and_the_others_one_after_the_other() -> None:
    clock = Clock()
    slots: Slots[int] = Slots(per_second=2, burst=3, clock=clock)
    assert [slots.wait(n) for n in range(6)] == [0, 0, 0, 0.5, 1.0, 1.5]
    clock.now += 1
    assert [slots.wait(n) for n in (5, 4, 3)] == [0.5, 0, 0]


def test_a_key_keeps_its_slot_however_often_it_asks_and_uses_it_once() -> None:
    clock = Clock()
    slots: Slots[str] = Slots(per_second=1, burst=1, clock=clock)
    assert [slots.wait("a"), slots.wait("b"), slots.wait("b"), slots.wait("c")] == [0, 1, 1, 2]
    clock.now += 1
    assert [slots.wait("b"), slots.wait("b")] == [0, 2]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 5)), max_size=60))
def test_no_more_go_in_any_time_than_the_burst_and_so_many_a_second(asks: list[tuple[int, float]]) -> None:
    clock = Clock()
    slots: Slots[int] = Slots(per_second=2, burst=4, clock=clock)
    went: list[float] = []
    for key, pause in asks:
        clock.now += pause
        if slots.wait(key) == 0:
            went.append(clock.now)
    for index, first in enumerate(went):
        for count, last in enumerate(went[index:], start=1):
            # A slot that was kept is used late, so that each of the ten keys may come on top of it.
            assert count <= 4 + 10 + 2 * (last - first) + 1e-6


@pytest.mark.parametrize(("waiting", "rate"), [(0, SLOWEST), (240, SLOWEST), (1_200, 10.0), (10_000, FASTEST)])
def test_the_more_wait_the_more_are_done_in_a_second(waiting: int, rate: float) -> None:
    assert pace(waiting) == rate


def test_ten_thousand_at_once_are_done_in_minutes_and_a_few_in_no_hurry() -> None:
    clock = Clock()
    slots: Slots[int] = Slots(per_second=pace, burst=20, clock=clock)
    waits = [slots.wait(number) for number in range(10_000)]
    assert waits == sorted(waits)
    assert waits[20 + 9] == 4.5 + 0.5
    assert 600 < waits[-1] < 900, "at two a second it would be 83 minutes"


def test_who_would_wait_too_long_takes_no_slot_from_others() -> None:
    clock = Clock()
    slots: Slots[int] = Slots(per_second=1, burst=1, horizon=3, clock=clock)
    assert [slots.wait(n) for n in range(6)] == [0, 1, 2, 3, 3, 3]
    clock.now += 1
    assert [slots.wait(n) for n in (5, 4)] == [3, 3], "the next one that is free, and then none"
    clock.now += 3
    assert [slots.wait(n) for n in (5, 4)] == [0, 1]


def test_a_few_pass_at_once_and_all_others_a_little_later() -> None:
    clock = Clock()
    grace: Grace[int] = Grace(seconds=5, per_second=1, burst=2, clock=clock)
    assert [grace.wait(n) for n in range(5)] == [0, 0, 5, 5, 5]
    clock.now += 3
    assert [grace.wait(n) for n in (2, 5, 6, 7)] == [2, 0, 0, 5], "who waits already waits on, and takes no place"
    clock.now += 2
    assert [grace.wait(n) for n in (2, 3)] == [0, 0]
    assert [grace.wait(n) for n in (7, 3)] == [3, 0], "who comes again begins anew"


def test_who_never_came_back_is_forgotten() -> None:
    clock = Clock()
    grace: Grace[int] = Grace(seconds=1, per_second=1e-9, burst=0, clock=clock)
    for number in range(3 * KEPT):
        grace.wait(number)
        clock.now += 0.001
    assert len(grace._due) <= KEPT + 1


def test_keys_that_never_come_back_are_forgotten() -> None:
    clock = Clock()
    slots: Slots[int] = Slots(per_second=1000, burst=1, clock=clock)
    for number in range(3 * KEPT):
        slots.wait(number)
        clock.now += 0.0009
    assert len(slots._given) <= KEPT + 1
