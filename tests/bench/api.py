"""`make bench-api`: what the api adds to the stores behind it, and how it holds out with an archive and many clients.

Everything runs as processes of this machine: etcd and Postgres, both of which have each write on the disk before they
answer, kube-apiserver, and one api through all of it. Its clients share the machine with it, so the figures are an
upper bound. "others" says how many cores the rest of the machine used: above some tenths, repeat it in a quiet hour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import resource
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
import uvloop
from pydantic import SecretStr

from octo_api.auth.credentials import hash_secret, new_key
from octo_core.db import api_keys
from octo_core.db.api_keys import ApiKey
from octo_core.db.migrate import upgrade
from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.bench.api_archive import fill, rows_read
from tests.bench.api_figures import Creates, Gets, Measured, Side, Walk, as_json, table
from tests.bench.api_load import SUBJECT, List, Target, all_at_once, at_rate, no_pauses, order, target
from tests.bench.controller_load import OCTOJOBS, OCTOPROVIDERS, octoprovider
from tests.bench.launch import cpu_seconds
from tests.bench.machine import Machine
from tests.bench.sse import Figures as Streams
from tests.bench.sse import measure, rss_mb
from tests.support.api_process import ApiProcess, api_process
from tests.support.control_plane import ControlPlane, control_plane
from tests.support.postgres import postgres_server

REPO = Path(__file__).parents[2]
STATE = REPO / ".octo" / "bench"
PARTS = ("create", "get", "list", "streams")
NAMESPACE, PROVIDER = "octo", "provider-0"
PEPPER = "p" * 32
GETS_PER_SECOND, GET_SECONDS = 200, 20
TOLD_SECONDS = 11.0
"""After which Postgres has counted what an idle connection has read."""
LISTS: dict[str, dict[str, str]] = {
    "all": {},
    "one provider": {"provider": "provider-3"},
    "failed": {"state": "Failed"},
    "by end": {"sort": "finishedAt"},
    "of one user": {"requestedBy": "user-7"},
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each is done."""

    rounds: int
    requests: int
    jobs: int
    pages: int
    clients: int
    events: int


@dataclass(frozen=True, slots=True)
class Rig:
    """What is measured, and the ways to it."""

    api: ApiProcess
    plane: ControlPlane
    database_url: str
    database: Database
    key: str
    to_api: Target
    to_plane: Target

    def cpu_seconds(self) -> float:
        """Of the api's process, so far."""
        return cpu_seconds(Path(f"/proc/{self.api.program.pid}/stat").read_text())


@dataclass(slots=True)
class _Found:
    """What has been measured so far."""

    creates: list[Creates] = field(default_factory=list)
    gets: list[Gets] = field(default_factory=list)
    walks: list[Walk] = field(default_factory=list)
    archived: int = 0
    streams: Streams | None = None


@asynccontextmanager
async def rig(folder: Path, plane: ControlPlane, database_url: str) -> AsyncIterator[Rig]:
    """An api over these stores, a key for it, and a provider."""
    settings = DatabaseSettings(database_url=SecretStr(database_url))
    await upgrade(settings)
    database = Database(settings, application_name="bench")
    plain = new_key(bytes(range(40)))
    made = ApiKey(plain.id, SUBJECT, hash_secret(PEPPER, plain.secret), ("*",), ("*",), created_at=datetime.now(UTC))
    async with database.transaction() as session:
        await api_keys.put(session, made)
    await asyncio.to_thread(plane.kubectl("default"), "create", "namespace", NAMESPACE)
    context = ssl.create_default_context(cafile=str(plane.authority))
    direct = {"Authorization": f"Bearer {plane.token}", "Content-Type": "application/json"}
    async with (
        target(plane.url, direct, context=context) as to_plane,
        api_process(
            database_url=database_url,
            kubeconfig=plane.kubeconfig,
            pepper=PEPPER,
            log=folder / "api.log",
            # One caller asks for all of it here. The limit is kept, and never met.
            rate_limit_requests=10_000_000,
        ) as api,
        target(api.url, {"X-API-Key": plain.text, "Content-Type": "application/json"}) as to_api,
    ):
        await to_plane.post(OCTOPROVIDERS.format(NAMESPACE), orjson.dumps(octoprovider(0)), {})
        try:
            yield Rig(api, plane, database_url, database, plain.text, to_api, to_plane)
        finally:
            await database.close()


async def create(on: Rig, side: Side, number: int, requests: int) -> Creates:
    """One side's turn."""
    keys = [f"{side}-{number}-{n}" for n in range(requests)]
    pairs = [order(key, NAMESPACE, PROVIDER) for key in keys]
    with no_pauses():
        cpu, machine, begin = on.cpu_seconds(), Machine(), time.monotonic()
        if side == "octo":
            asked = [(body, {"Idempotency-Key": key}) for key, (body, _) in zip(keys, pairs, strict=True)]
            latencies = await all_at_once(on.to_api, "/v1/jobs", asked)
        else:
            made = [(octojob, dict[str, str]()) for _, octojob in pairs]
            path = f"{OCTOJOBS.format(NAMESPACE)}?fieldValidation=Strict"
            latencies = await all_at_once(on.to_plane, path, made)
        wall = time.monotonic() - begin
        return Creates(side, number, requests, wall, latencies, machine.others(), on.cpu_seconds() - cpu)


async def creates(on: Rig, sizes: Sizes) -> AsyncIterator[Creates]:
    """All turns of both sides."""
    # Once each without counting: caches and pools are filled, and what is broken shows now.
    for side in ("raw", "octo"):
        await create(on, side, 0, max(64, sizes.requests // 10))
    for number in range(1, sizes.rounds + 1):
        # The other goes first each time.
        first: Sequence[Side] = ("raw", "octo") if number % 2 else ("octo", "raw")
        for side in first:
            yield await create(on, side, number, sizes.requests)


async def gets(on: Rig, sizes: Sizes) -> AsyncIterator[Gets]:
    """Single runs, at the rate that is promised."""
    page = orjson.loads(await on.to_api.get("/v1/jobs", {"fields": "id", "limit": "500"}))
    uids = [item["id"] for item in page["items"]]
    chance = random.Random(0)
    count = min(GETS_PER_SECOND * GET_SECONDS, sizes.requests * 4)
    await at_rate(on.to_api, (f"/v1/jobs/{chance.choice(uids)}" for _ in range(count // 4)), GETS_PER_SECOND)
    for number in range(1, sizes.rounds + 1):
        paths = [f"/v1/jobs/{chance.choice(uids)}" for _ in range(count)]
        cpu, machine = on.cpu_seconds(), Machine()
        latencies = await at_rate(on.to_api, paths, GETS_PER_SECOND)
        yield Gets(number, GETS_PER_SECOND, latencies, on.cpu_seconds() - cpu, machine.others())


async def walk(on: Rig, name: str, sizes: Sizes) -> Walk:
    """One list: through all of it once, and then pages from its ends and from between, in turn."""
    pages = List(on.to_api, LISTS[name])
    await pages.walk()
    chance = random.Random(1)
    for _ in range(20):
        await pages.any(chance)
    await asyncio.sleep(TOLD_SECONDS)
    read, machine = await rows_read(on.database_url), Machine()
    timed: list[tuple[tuple[float, int], tuple[float, int], tuple[float, int]]] = []
    with no_pauses():
        for _ in range(sizes.pages):
            timed.append((await pages.first(), await pages.last(), await pages.any(chance)))  # noqa: PERF401 - in turn
    others = machine.others()
    await asyncio.sleep(TOLD_SECONDS)
    shown = sum(runs for each in timed for _, runs in each)
    first, last, between = (tuple(seconds for seconds, _ in part) for part in zip(*timed, strict=True))
    return Walk(name, pages.runs, first, last, between, (await rows_read(on.database_url) - read) / shown, others)


async def bench(folder: Path, parts: Sequence[str], sizes: Sizes) -> Measured:
    """All of it."""
    found = _Found()
    load_before = os.getloadavg()
    with postgres_server(durable=True) as postgres, control_plane(folder, durable=True) as plane:
        await asyncio.to_thread(plane.install_crds)
        async with rig(folder, plane, postgres.url("postgres")) as on:
            if "create" in parts:
                async for turn in creates(on, sizes):
                    found.creates.append(turn)
                    say(f"{turn.number} {turn.side}: {turn.rate:.0f} creates a second")
            if "get" in parts:
                if "create" not in parts:
                    await create(on, "octo", 0, 64)
                async for each in gets(on, sizes):
                    found.gets.append(each)
                    say(f"{each.number}: {len(each.latencies_s)} runs read")
            if "list" in parts:
                await fill(on.database_url, NAMESPACE, sizes.jobs, say)
                found.archived = sizes.jobs
                for name in LISTS:
                    found.walks.append(await walk(on, name, sizes))
                    say(f"{name}: {found.walks[-1].runs} runs, each once")
            if "streams" in parts:
                found.streams = await measure(
                    port=on.api.port,
                    pid=on.api.program.pid,
                    key=on.key,
                    database=on.database,
                    clients=sizes.clients,
                    events=sizes.events,
                    every_seconds=0.5,
                )
                say(str(found.streams))
            rss = rss_mb(on.api.program.pid, "VmHWM")
    setup = {
        "rounds": sizes.rounds,
        "requests": sizes.requests,
        "clients": sizes.clients,
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": load_before,
        "load_after": os.getloadavg(),
    }
    return Measured(found.creates, found.gets, found.walks, found.archived, found.streams, rss, setup)


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each takes its turn (default 5)")
    parser.add_argument("--requests", type=int, default=1000, help="creates of each side in a round (default 1000)")
    parser.add_argument("--jobs", type=int, default=1_000_000, help="runs in the archive (default 1,000,000)")
    parser.add_argument("--pages", type=int, default=300, help="pages of each kind of each list (default 300)")
    parser.add_argument("--clients", type=int, default=2000, help="streams of events (default 2000)")
    parser.add_argument("--events", type=int, default=60, help="that happen while they are open (default 60)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=STATE / "api.json")
    given = parser.parse_args()
    parts = given.only.split(",")
    sizes = Sizes(given.rounds, given.requests, given.jobs, given.pages, given.clients, given.events)
    if not set(parts) <= set(PARTS) or min(sizes.rounds, sizes.requests, sizes.pages, sizes.clients, sizes.events) < 1:
        parser.error("unknown part, or nothing to do; see --help")
    if sizes.jobs < 50_000:
        parser.error("below 50,000 runs some list has one page only")
    # By default SIGTERM would leave the servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory(prefix="octo-bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        found = runner.run(bench(Path(folder), parts, sizes))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(as_json(found), indent=1) + "\n")
    sys.stdout.write(f"{table(found)}\n")
    say(f"all figures: {given.out.relative_to(REPO) if given.out.is_relative_to(REPO) else given.out}")
    return 0


def say(text: str) -> None:
    """Tell what goes on."""
    sys.stderr.write(f"[bench] {text}\n")


if __name__ == "__main__":
    sys.exit(main())
