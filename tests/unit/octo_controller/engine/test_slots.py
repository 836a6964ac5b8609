"""Slots for work that may wait."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from octo_controller.engine.slots import KEPT, Slots


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


def test_keys_that_never_come_back_are_forgotten() -> None:
    clock = Clock()
    slots: Slots[int] = Slots(per_second=1000, burst=1, clock=clock)
    for number in range(3 * KEPT):
        slots.wait(number)
        clock.now += 0.0009
    assert len(slots._given) <= KEPT + 1
