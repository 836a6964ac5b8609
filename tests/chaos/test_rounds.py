"""A short round of what ``make chaos`` does at length."""

from __future__ import annotations

from tests.chaos.rig import running_rig
from tests.chaos.rounds import play

SEEDS = (3, 4)


async def test_nothing_is_lost_doubled_or_stuck() -> None:
    async with running_rig() as rig:
        for seed in SEEDS:
            await play(rig, seed)
