"""A pace for each key."""

from __future__ import annotations

from octo_controller.engine.pace import Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_key_goes_once_in_a_gap_whatever_the_others_do() -> None:
    clock = Clock()
    pace: Pace[str] = Pace(gap=1, clock=clock)
    assert (pace.wait("a"), pace.wait("b"), pace.wait("a")) == (0, 0, 1)
    clock.now += 0.75
    assert pace.wait("a") == 0.25
    clock.now += 0.25
    assert (pace.wait("a"), pace.wait("a")) == (0, 1)


def test_what_is_long_ago_is_forgotten() -> None:
    clock = Clock()
    pace: Pace[int] = Pace(gap=1, clock=clock)
    for number in range(100):
        assert pace.wait(number) == 0
        clock.now += 0.5
    assert len(pace._last) <= 2
