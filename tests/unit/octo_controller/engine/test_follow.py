"""A watch that keeps a change to itself is found out."""

from __future__ import annotations

from octo_controller.engine.follow import Follower


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_silence_alone_is_no_fault() -> None:
    clock = Clock()
    follower = Follower(clock)
    follower.heard(5)
    clock.now = 1e6
    assert follower.behind() == 0


def test_a_change_that_is_not_told_of_is_and_counts_from_the_first() -> None:
    clock = Clock()
    follower = Follower(clock)
    follower.heard(5)
    follower.expect(7)
    clock.now = 10
    follower.expect(9)
    clock.now = 20
    assert follower.behind() == 20
    follower.heard(6)
    assert follower.behind() == 20
    follower.heard(8)
    assert follower.behind() == 0


def test_what_was_told_already_is_not_awaited() -> None:
    clock = Clock()
    follower = Follower(clock)
    follower.heard(9)
    follower.expect(9)
    clock.now = 10
    assert follower.behind() == 0


def test_a_list_settles_what_was_deleted_meanwhile_and_finds_what_was_missed() -> None:
    clock = Clock()
    follower = Follower(clock)
    follower.heard(5)
    follower.expect(7)
    follower.settle(5)
    clock.now = 10
    assert follower.behind() == 0, "what had version 7 is gone"
    follower.settle(8)
    clock.now = 15
    follower.settle(8)
    assert follower.behind() == 5
    follower.settle(-1)
    assert follower.behind() == 0
