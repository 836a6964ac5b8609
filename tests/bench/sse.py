"""How late events are in many streams at once.

One api process, its Postgres, and a process of clients share the machine, so the figures are an upper bound.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from octo_core.db.projection import project
from octo_core.db.session import Database
from tests.support.sse import event_source

_NAME = re.compile(rb'"jobName":"(\d+)"')
_CONNECTING = 50
"""Handshakes at a time."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What many streams cost, and how late they are. Lag is from the commit to the client's hands."""

    clients: int
    held: int
    """Streams that were there from the first event to the last, and saw each once."""
    refused: dict[int, int]
    """Answers other than a stream, by status; each was followed by another try."""
    events: int
    lag_p50_ms: float
    lag_p99_ms: float
    lag_max_ms: float
    idle_rss_mb: float
    peak_rss_mb: float


async def measure(
    *, port: int, pid: int, key: str, database: Database, clients: int, events: int, every_seconds: float
) -> Figures:
    """Hold so many streams of all events while events happen; the api of ``pid`` serves on ``port``."""
    loop = asyncio.get_running_loop()
    idle = rss_mb(pid)
    lags: list[float] = []
    committed: dict[int, float] = {}
    ready = asyncio.Semaphore(0)
    turn = asyncio.Semaphore(_CONNECTING)
    refused: Counter[int] = Counter()
    held = 0

    async def follow() -> None:
        nonlocal held
        seen: set[int] = set()
        async with AsyncExitStack() as stack:
            async with turn:
                while True:
                    source = await stack.enter_async_context(event_source(port, "/v1/events", key=key, limit=2**14))
                    if source.status == 200:
                        break
                    # As busy as it may be, and says so; every client comes back.
                    refused[source.status] += 1
                    await asyncio.sleep(1)
            ready.release()
            async for message in source.messages():
                found = _NAME.search(message.data.encode())
                assert found is not None
                number = int(found[1])
                assert number not in seen, "an event came twice"
                seen.add(number)
                lags.append(loop.time() - committed[number])
                if len(seen) == events:
                    held += 1
                    return

    async with asyncio.TaskGroup() as group:
        following = [group.create_task(follow()) for _ in range(clients)]
        for _ in range(clients):
            await ready.acquire()
        for number in range(events):
            # The clock starts before the commit is known here, which is to Octo's disadvantage.
            committed[number] = loop.time()
            async with database.transaction() as session:
                await project(session, [_octojob(number)], now=datetime.now(UTC))
            await asyncio.sleep(every_seconds)
        await asyncio.wait(following, timeout=120)
        for task in following:
            task.cancel()
    ordered = sorted(lags) or [0.0]
    return Figures(
        clients=clients,
        held=held,
        refused=dict(refused),
        events=events,
        lag_p50_ms=round(ordered[len(ordered) // 2] * 1000, 1),
        lag_p99_ms=round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000, 1),
        lag_max_ms=round(ordered[-1] * 1000, 1),
        idle_rss_mb=idle,
        peak_rss_mb=rss_mb(pid, "VmHWM"),
    )


def _octojob(number: int) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": f"bench-{number}",
            "namespace": "octo",
            "name": str(number),
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-02T03:04:05Z",
        },
        "spec": {"providerRef": {"name": "bench"}},
    }


def rss_mb(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process: what it holds, or with ``VmHWM`` the most it ever held."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))
    return round(int(line.split()[1]) / 1024, 1)
