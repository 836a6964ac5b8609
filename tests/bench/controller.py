"""`make bench-controller`: runs through Octo's controller beside as many plain Jobs, in turn, on simulated nodes; and
beside plain Jobs with the very pods that runs have, which tells what those cost and what Octo does.

Everything runs as processes of this machine: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok (whose
pods run and complete at once), Postgres, and one controller at a time. A run counts as over when it is over in its
OctoJob and in Postgres. "others" says how many cores the rest of the machine used: above some tenths, repeat it in a
quiet hour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg

from octo_controller.reconcile.decide import CLOCKS_DIFFER
from octo_core.domain.names import LABEL_ARCHIVED
from tests.bench.controller_cluster import Cluster, cluster
from tests.bench.controller_figures import Round, Start, as_json, key_figures, table
from tests.bench.controller_load import (
    JOBS,
    OCTOJOBS,
    OCTOPROVIDERS,
    OURS,
    PROVIDERS,
    WRITES,
    Counts,
    Raw,
    Rows,
    Seen,
    api,
    complete,
    finished,
    octojob,
    octoprovider,
    plain_job,
    reached,
    same_job,
    submit,
    told,
)
from tests.bench.controller_process import controller
from tests.bench.machine import Machine
from tests.support.kubectl import eventually

REPO = Path(__file__).parents[2]
STATE = REPO / ".octo" / "bench"
PARTS = ("runs", "same", "start")
START_OCTOJOBS, START_LIVE = 10_000, 100
WORKER = "octo-worker"
"""The service account of pods of runs."""


async def jobs_round(on: Cluster, number: int, runs: int) -> Round:
    """Plain Jobs, and no controller."""
    return await _plain(on, "jobs", number, [plain_job(f"run-{n}") for n in range(runs)])


async def same_round(on: Cluster, number: int, runs: int) -> Round:
    """The Jobs that Octo would make, and no controller."""
    return await _plain(on, "same", number, [same_job(n) for n in range(runs)])


async def _plain(on: Cluster, kind: str, number: int, bodies: list[Raw]) -> Round:
    namespace, runs = f"{kind}-{number}", len(bodies)
    on.plane.kubectl("default")("create", "namespace", namespace)
    # Without it no pod of Octo's Jobs is made.
    on.plane.kubectl(namespace)("create", "serviceaccount", WORKER)
    path = JOBS.format(namespace)
    async with api(on.plane) as to, asyncio.TaskGroup() as group:
        seen = Seen(complete)
        watch = group.create_task(seen.follow(to.objects(path)))
        requests = await to.requests()
        machine, begin = Machine(), time.monotonic()
        await submit(to, path, bodies)
        await reached(seen, runs)
        wall, others, shares = max(seen.at.values()) - begin, machine.others(), machine.shares()
        requests = await to.requests() - requests
        watch.cancel()
    return Round(kind, number, runs, wall, others, shares_s=shares, requests=told(requests))


async def octo_round(on: Cluster, number: int, runs: int) -> Round:
    """OctoJobs, through a controller of their own that has started before."""
    namespace = f"octo-{number}"
    on.plane.kubectl("default")("create", "namespace", namespace)
    # Without it no pod is made.
    on.plane.kubectl(namespace)("create", "serviceaccount", WORKER)
    with controller(on, namespace) as process:
        async with api(on.plane) as to, asyncio.TaskGroup() as group:
            await submit(to, OCTOPROVIDERS.format(namespace), (octoprovider(n) for n in range(PROVIDERS)))
            await asyncio.to_thread(eventually, process.idle, what="the controller is idle")
            # The start is not measured: until then, pods that a process before may have left are looked for.
            await asyncio.sleep(CLOCKS_DIFFER.total_seconds())
            jobs, octojobs, rows = Seen(complete), Seen(finished), Rows(on.database_url, namespace)
            watches = [
                group.create_task(jobs.follow(to.objects(JOBS.format(namespace)))),
                group.create_task(octojobs.follow(to.objects(OCTOJOBS.format(namespace)))),
                group.create_task(rows.follow()),
            ]
            requests = await to.requests()
            cpu, machine, begin = process.cpu_seconds(), Machine(), time.monotonic()
            await submit(to, OCTOJOBS.format(namespace), (octojob(n) for n in range(runs)))
            await reached(octojobs, runs)
            await reached(rows, runs)
            wall, others = max(*octojobs.at.values(), *rows.at.values()) - begin, machine.others()
            shares = machine.shares()
            await asyncio.to_thread(eventually, process.idle, what="all is archived")
            cpu = process.cpu_seconds() - cpu
            requests = await to.requests() - requests
            for watch in watches:
                watch.cancel()
            left = [raw for raw in await to.items(OCTOJOBS.format(namespace)) if not finished(raw)]
        rss, _ = process.memory_mib()
    return Round(
        kind="octo",
        number=number,
        runs=runs,
        wall_s=wall,
        others_cores=others,
        cpu_s=cpu,
        shares_s=shares,
        rss_mib=rss,
        requests=told(requests),
        writes=_of_the_controller(requests, runs),
        status_lags_s=tuple(
            octojobs.at[name] - at for job, at in jobs.at.items() if (name := job.rpartition("-")[0]) in octojobs.at
        ),
        mirror_lags_s=tuple(rows.at[name] - at for name, at in octojobs.at.items() if name in rows.at),
        stuck=len(left),
        doubled=sum(len(uids) > 1 for uids in jobs.owners.values()),
    )


def _of_the_controller(requests: Counts, runs: int) -> dict[str, int]:
    """Its writes, less what others wrote: the bench each OctoJob, the Job controller each Job's status."""
    counts = told(
        Counter(
            {
                (resource, sub, verb): count
                for (resource, sub, verb), count in requests.items()
                if resource in OURS and verb in WRITES and (resource, sub) != ("jobs", "status")
            }
        )
    )
    counts["POST octojobs"] = counts.get("POST octojobs", 0) - runs
    return {name: count for name, count in counts.items() if count > 0}


def fill(on: Cluster, namespace: str) -> None:
    """OctoJobs as a controller leaves them behind: most over and archived, some that wait."""
    on.plane.kubectl("default")("create", "namespace", namespace)
    on.plane.kubectl(namespace)("create", "serviceaccount", WORKER)
    with controller(on, namespace):
        asyncio.run(_sample(on, namespace))
        sample = eventually(lambda: _archived(on, namespace), what="one is archived")
    asyncio.run(_copies(on, namespace, sample["status"]))
    with controller(on, namespace) as process:
        eventually(lambda: asyncio.run(_mirrored(on, namespace)) == START_OCTOJOBS, within=1800, what="all in Postgres")
        eventually(process.idle, within=1800, what="the controller is idle")


async def _sample(on: Cluster, namespace: str) -> None:
    async with api(on.plane) as to:
        await submit(to, OCTOPROVIDERS.format(namespace), (octoprovider(n) for n in range(PROVIDERS)))
        await submit(to, OCTOJOBS.format(namespace), [octojob(START_OCTOJOBS)])


async def _copies(on: Cluster, namespace: str, status: Any) -> None:
    """Made while no controller looks: as one that is over and put aside."""
    path = OCTOJOBS.format(namespace)
    numbers = iter(range(START_OCTOJOBS - 1))

    async def make() -> None:
        for number in numbers:
            body = octojob(number)
            if number < START_LIVE:
                body["spec"]["startAfter"] = "2099-01-01T00:00:00Z"
            else:
                body["metadata"]["labels"][LABEL_ARCHIVED] = "true"
                body["metadata"]["finalizers"] = []
            await to.create(path, body)
            if number >= START_LIVE:
                await to.patch_status(path, body["metadata"]["name"], status)

    async with api(on.plane) as to, asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(make())


async def _mirrored(on: Cluster, namespace: str) -> Any:
    connection = await asyncpg.connect(on.database_url)
    try:
        return await connection.fetchval("SELECT count(*) FROM jobs WHERE namespace = $1", namespace)
    finally:
        await connection.close()


def _archived(on: Cluster, namespace: str) -> Any:
    raw = on.plane.kubectl(namespace).json("get", "octojob", f"run-{START_OCTOJOBS}")
    conditions = raw.get("status", {}).get("conditions", ())
    return raw if any(c["type"] == "Archived" and c["status"] == "True" for c in conditions) else None


def start_once(on: Cluster, namespace: str) -> Start:
    """Start a controller among them, until it is ready and has nothing to do."""
    machine, begin = Machine(), time.monotonic()
    with controller(on, namespace, wait=False) as process:
        eventually(process.idle, every=0.1, what="the controller is idle")
        seconds, others, cpu = time.monotonic() - begin, machine.others(), process.cpu_seconds()
        rss, peak = process.memory_mib()
    return Start(START_OCTOJOBS, START_LIVE, seconds, rss, peak, cpu, others)


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.controller", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="of each kind in each round (default 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each kind takes its turn (default 3)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=STATE / "controller.json")
    given = parser.parse_args()
    parts = given.only.split(",")
    if not set(parts) <= set(PARTS) or min(given.rounds, given.runs) < 1:
        parser.error("unknown part, or nothing to do; see --help")
    # By default SIGTERM would leave the servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load_before = os.getloadavg()
    rounds: list[Round] = []
    starts: list[Start] = []
    with cluster() as on:
        kinds = [jobs_round] if {"runs", "same"} & {*parts} else []
        kinds += [same_round] if "same" in parts else []
        kinds += [octo_round] if "runs" in parts else []
        if kinds:
            # Once each without counting: caches are filled, and what is broken shows now.
            for kind in kinds:
                asyncio.run(kind(on, 0, 50))
            for number in range(1, given.rounds + 1):
                # The last goes first each time.
                for kind in kinds if number % 2 else kinds[::-1]:
                    rounds.append(asyncio.run(kind(on, number, given.runs)))
                    say(json.dumps(as_json(rounds[-1])))
        if "start" in parts:
            say(f"making {START_OCTOJOBS} OctoJobs")
            fill(on, "start")
            for _ in range(given.rounds):
                starts.append(start_once(on, "start"))
                say(str(starts[-1]))
    report = {
        **key_figures(rounds, starts),
        "rounds": [as_json(each) for each in rounds],
        "starts": [asdict(start) for start in starts],
        "setup": {
            "runs": given.runs,
            "rounds": given.rounds,
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "load_before": load_before,
            "load_after": os.getloadavg(),
        },
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(f"{table(rounds, starts)}\n")
    say(f"all figures: {given.out.relative_to(REPO) if given.out.is_relative_to(REPO) else given.out}")
    return 0


def say(text: str) -> None:
    """Tell what goes on."""
    sys.stderr.write(f"[bench] {text}\n")


if __name__ == "__main__":
    sys.exit(main())
