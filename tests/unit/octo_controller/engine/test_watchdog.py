"""The thread that ends a process whose event loop cannot."""

from __future__ import annotations

import threading

from octo_controller.engine.watchdog import Watchdog

LIMIT = 120.0


def test_it_bites_once_the_check_says_what_is_wrong() -> None:
    wrong: list[str] = []
    bitten: list[str] = []
    done = threading.Event()

    def bite(why: str) -> None:
        bitten.append(why)
        done.set()

    dog = Watchdog(check=lambda: wrong[0] if wrong else None, bite=bite, blocked_after=10**9, tick=0.001)
    dog.start()
    wrong.append("the lease is lost")
    assert done.wait(LIMIT)
    dog.stop()
    assert bitten == ["the lease is lost"]


def test_it_bites_a_loop_that_does_not_run_and_none_that_does() -> None:
    beaten = threading.Event()
    done = threading.Event()
    bitten: list[str] = []
    ticks = 0

    def check() -> None:
        nonlocal ticks
        ticks += 1
        if ticks < 50:
            dog.beat()
        else:
            beaten.set()

    def bite(why: str) -> None:
        bitten.append(why)
        done.set()

    dog = Watchdog(check=check, bite=bite, blocked_after=5, tick=0.001)
    dog.start()
    assert done.wait(LIMIT)
    dog.stop()
    assert beaten.is_set(), "it bit while the loop ran"
    assert bitten == ["the event loop has not run for 5 ticks"]


def test_it_can_be_stopped_before_it_was_started() -> None:
    Watchdog(check=lambda: None, bite=lambda why: None, blocked_after=1).stop()
