from __future__ import annotations

import asyncio

import pytest

from octo_worker.failure import ConnectionLostError
from octo_worker.sources.tries import Tries, longest_wait

LOST = ConnectionLostError("the connection broke")


async def test_waits_grow_and_are_drawn_from_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ranges, slept = list[tuple[float, float]](), list[float]()

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return high / 2

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    tries = Tries(4, uniform=uniform)
    for used in (2, 3, 4):
        await tries.again(LOST)
        assert tries.used == used
    with pytest.raises(ConnectionLostError) as caught:
        await tries.again(LOST)
    assert caught.value is LOST
    assert tries.used == 4
    assert ranges == [(0, 2), (0, 4), (0, 8)]
    assert slept == [1, 2, 4]


def test_waits_end_somewhere() -> None:
    assert longest_wait(100, 1.0) == 30


async def test_a_wait_can_be_cancelled() -> None:
    task = asyncio.ensure_future(Tries(2, uniform=lambda low, high: 60.0).again(LOST))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
