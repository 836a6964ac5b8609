"""``make chaos SEEDS=200 FIRST=1 RIGS=2``: rounds of faults by seed, on so many rigs side by side.

A seed that failed is played again by SEEDS=1 FIRST=<seed>. The exit code is 1 if a round failed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter

from tests.chaos.rig import running_rig
from tests.chaos.rounds import RoundError, play


async def _serve(seeds: asyncio.Queue[int], failures: list[str], done: Counter[str]) -> None:
    """Play rounds on one rig; on a new one after a failure, whose folder is left as it is."""
    while not seeds.empty():
        async with running_rig() as rig:
            while not seeds.empty():
                seed, start = seeds.get_nowait(), time.monotonic()
                try:
                    story = await play(rig, seed)
                except RoundError as error:
                    failures.append(str(error))
                    _say(f"FAILED {error}")
                    rig.keep = True
                    break
                done.update(part.split(" at ")[0] for part in story.split("; "))
                _say(f"seed {seed} held in {time.monotonic() - start:.0f} s: {story}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _main(first: int, count: int, rigs: int) -> int:
    seeds: asyncio.Queue[int] = asyncio.Queue()
    for seed in range(first, first + count):
        seeds.put_nowait(seed)
    failures: list[str] = []
    done: Counter[str] = Counter()
    await asyncio.gather(*(_serve(seeds, failures, done) for _ in range(rigs)))
    _say(f"{count} seeds, {len(failures)} failed; faults: {dict(done.most_common())}")
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--rigs", type=int, default=1)
    given = parser.parse_args()
    sys.exit(asyncio.run(_main(given.first, given.seeds, given.rigs)))
