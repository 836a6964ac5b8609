"""The ledger of turns, against a model that sorts everything anew for each question."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from octo_controller.reconcile.ledger import Ledger, Standing
from octo_core.domain.job import ConcurrencyPolicy
from tests.unit.octo_controller.builders import at, peer

NAMES = ["a", "b", "c", "d", "e", "f"]
STANDINGS = st.builds(
    lambda name, key, policy, most, priority, created, active, waiting: peer(
        name, key=key, policy=policy, max=most, priority=priority, created=at(created), active=active, waiting=waiting
    ),
    st.sampled_from(NAMES),
    st.sampled_from(["k1", "k2"]),
    st.sampled_from(list(ConcurrencyPolicy)),
    st.integers(1, 3),
    st.integers(-1, 1),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), STANDINGS),
        st.tuples(st.just("remove"), st.sampled_from(NAMES)),
        st.tuples(st.just("hall"), st.sampled_from(NAMES)),
    ),
    max_size=25,
)


def has_room(me: Standing, known: list[Standing]) -> bool:
    if me.policy is ConcurrencyPolicy.ALLOW:
        return True
    rivals = [other for other in known if other.key == me.key and other.uid != me.uid]
    before = [other for other in rivals if other.active or (other.waiting and other.order < me.order)]
    return len(before) < me.max


@settings(max_examples=150, deadline=None)
@given(STEPS, st.one_of(st.none(), st.integers(0, 4)))
def test_it_counts_as_one_would_by_hand(steps: list[tuple[str, Any]], capacity: int | None) -> None:
    ledger, known, hall = Ledger(capacity=capacity), dict[str, Standing](), set[str]()
    for what, given_ in steps:
        if what == "put":
            known[given_.uid] = given_
            ledger.put(given_)
            if not given_.waiting:
                hall.discard(given_.uid)
        elif what == "remove":
            known.pop(f"uid-{given_}", None)
            ledger.remove(f"uid-{given_}")
            hall.discard(f"uid-{given_}")
        else:
            ledger.enter_hall(f"uid-{given_}")
            if f"uid-{given_}" in known and known[f"uid-{given_}"].waiting:
                hall.add(f"uid-{given_}")
        everyone = list(known.values())
        busy = sum(other.active for other in everyone)
        for me in everyone:
            line = ledger.line(me.uid)
            rivals = [other for other in everyone if other.key == me.key and other.uid != me.uid]
            assert line.busy == sum(other.active for other in rivals)
            assert line.ahead == sum(other.waiting and other.order < me.order for other in rivals)
            if me.active or capacity is None:
                assert not line.crowded
                continue
            before = [known[uid] for uid in hall if known[uid].order < me.order and has_room(known[uid], everyone)]
            assert line.crowded is (busy + len(before) >= capacity)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["k1", "k2", "k3"]), st.integers(-2, 2)), min_size=1, max_size=20))
def test_in_a_full_namespace_turns_come_by_priority_then_age_whatever_the_key(runs: list[tuple[str, int]]) -> None:
    """One place, all waiting in the hall: whoever the ledger lets go is the first of all, each time, to the last."""
    ledger, serial = Ledger(capacity=1), count()
    waiting = [
        peer(f"r{n}", key=key, policy=ConcurrencyPolicy.ALLOW, priority=priority, created=at(n))
        for (key, priority), n in zip(runs, serial, strict=False)
    ]
    for standing in waiting:
        ledger.put(standing)
        ledger.enter_hall(standing.uid)
    order = []
    while waiting:
        free = [standing for standing in waiting if not ledger.line(standing.uid).crowded]
        assert len(free) == 1, "exactly one may go"
        assert list(ledger.next_in_hall(1)) == [free[0].name]
        ledger.put(replace(free[0], active=True, waiting=False))
        assert all(ledger.line(standing.uid).crowded for standing in waiting if standing is not free[0])
        ledger.remove(free[0].uid)
        waiting.remove(free[0])
        order.append(free[0].order)
    assert order == sorted(order)


def test_one_whose_key_is_busy_again_holds_up_nobody() -> None:
    ledger = Ledger(capacity=2)
    first = peer("first", key="k1", created=at(0))
    for standing in (first, peer("second", key="k2", created=at(1))):
        ledger.put(standing)
        ledger.enter_hall(standing.uid)
    ledger.put(peer("rival", key="k1", active=True))
    assert not ledger.line("uid-second").crowded


def test_of_ten_thousand_that_wait_only_the_first_are_named() -> None:
    ledger = Ledger(capacity=1)
    ledger.put(peer("busy", active=True))
    for number in range(10_000):
        ledger.put(peer(f"w{number}", created=at(number)))
    assert list(ledger.next_in("bank", 2)) == ["w0", "w1"]
    assert ledger.line("uid-w9999").ahead == 9999
    assert ledger.line("uid-w9999").holders == ()
