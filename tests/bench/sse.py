"""How late events are in many streams at once. ``python -m tests.bench.sse`` writes ``.octo/bench/sse.json``.

One api process, its Postgres, and a process of clients share the machine, so the figures are an upper bound.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from octo_api.auth.credentials import hash_secret, new_key
from octo_core.db import api_keys
from octo_core.db.api_keys import ApiKey
from octo_core.db.migrate import upgrade
from octo_core.db.projection import project
from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.support.api_process import api_process
from tests.support.fake_kube import fake_kube
from tests.support.postgres import postgres_server
from tests.support.sse import event_source

PEPPER = "p" * 32
OUT = Path(".octo/bench/sse.json")
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
    idle = _rss_mb(pid)
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
        peak_rss_mb=_rss_mb(pid, "VmHWM"),
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


def _rss_mb(pid: int, field: str = "VmRSS") -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))
    return round(int(line.split()[1]) / 1024, 1)


async def bench(clients: int, events: int, every_seconds: float) -> Figures:
    """The same with an api and a Postgres of its own."""
    with tempfile.TemporaryDirectory(prefix="octo-bench-") as folder, postgres_server() as postgres:
        settings = DatabaseSettings(database_url=SecretStr(postgres.url("postgres")))
        await upgrade(settings)
        database = Database(settings, application_name="bench")
        plain = new_key(bytes(range(40)))
        async with database.transaction() as session:
            hashed = hash_secret(PEPPER, plain.secret)
            await api_keys.put(session, ApiKey(plain.id, "bench", hashed, ("*",), ("*",), created_at=datetime.now(UTC)))
        async with (
            fake_kube() as kube,
            api_process(
                database_url=settings.database_url.get_secret_value(),
                kubeconfig=kube.write_kubeconfig(Path(folder) / "kubeconfig"),
                pepper=PEPPER,
                log=Path(folder) / "api.log",
                log_level="WARNING",
                rate_limit_requests=0,
            ) as api,
        ):
            try:
                return await measure(
                    port=api.port,
                    pid=api.program.pid,
                    key=plain.text,
                    database=database,
                    clients=clients,
                    events=events,
                    every_seconds=every_seconds,
                )
            finally:
                await database.close()


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two events")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    figures = asdict(asyncio.run(bench(arguments.clients, arguments.events, arguments.every)))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))  # noqa: T201 - what a bench is for


if __name__ == "__main__":
    main()
