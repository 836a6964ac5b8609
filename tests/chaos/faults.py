"""What is done to Octo and the cluster: each fault begins, and heals after a while."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from itertools import count

from octo_core.domain.errors import OctoError
from octo_core.kube.client import Propagation
from octo_core.kube.resources import JOBS, LEASES, OCTOJOBS, PODS
from tests.chaos.rig import NAMESPACE, Rig
from tests.support.controllers import LEASE
from tests.support.node import Sandbox
from tests.support.program import Program


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: at ``at`` seconds of the round, for ``seconds``."""

    name: str
    at: float
    seconds: float
    seed: int


def make_faults(rng: random.Random, *, span: float, number: int) -> tuple[Fault, ...]:
    """Some faults, in the order of their time."""
    return tuple(
        sorted(
            (
                Fault(rng.choice(list(FAULTS)), rng.uniform(0.5, span), rng.uniform(0.5, 9), rng.getrandbits(32))
                for _ in range(number)
            ),
            key=lambda fault: fault.at,
        )
    )


def make_late_faults(rng: random.Random, *, span: float) -> tuple[Fault, ...]:
    """One of the kinds that came later, or none: drawn behind all else, so that a seed still plays what it played."""
    if rng.random() < 0.5:
        return ()
    return (Fault(rng.choice(list(LATE_FAULTS)), rng.uniform(0.5, span), rng.uniform(0.5, 9), rng.getrandbits(32)),)


async def inflict(rig: Rig, fault: Fault) -> None:
    """Begin, wait, heal."""
    kinds = FAULTS | LATE_FAULTS
    await kinds[fault.name](rig, fault, random.Random(fault.seed))


async def leader(rig: Rig) -> int:
    """The number of the controller that holds the Lease, or 0."""
    with suppress(OctoError, KeyError):
        lease = await rig.kube.get(LEASES, NAMESPACE, LEASE)
        if lease["spec"]["holderIdentity"] == "controller-1":
            return 1
    return 0


async def _away(rig: Rig, program: Program, seconds: float) -> None:
    """Kill it, and have it come back after a while."""
    rig.down.add(program.name)
    await asyncio.to_thread(program.kill)
    await asyncio.sleep(seconds)
    rig.down.discard(program.name)


async def kill_leader(rig: Rig, fault: Fault, rng: random.Random) -> None:
    await _away(rig, rig.controllers[await leader(rig)], fault.seconds)


async def kill_standby(rig: Rig, fault: Fault, rng: random.Random) -> None:
    await _away(rig, rig.controllers[1 - await leader(rig)], fault.seconds)


async def kill_both(rig: Rig, fault: Fault, rng: random.Random) -> None:
    await asyncio.gather(*(_away(rig, program, fault.seconds) for program in rig.controllers))


async def freeze_leader(rig: Rig, fault: Fault, rng: random.Random) -> None:
    """It wakes up when its Lease is another's."""
    program = rig.controllers[await leader(rig)]
    with suppress(ProcessLookupError, AssertionError):
        program.freeze()
        await asyncio.sleep(8 + fault.seconds)
        program.thaw()


async def kill_api(rig: Rig, fault: Fault, rng: random.Random) -> None:
    await _away(rig, rig.api, fault.seconds)


async def kill_postgres(rig: Rig, fault: Fault, rng: random.Random) -> None:
    if "postgres" in rig.down:
        return
    rig.down.add("postgres")
    await asyncio.to_thread(rig.postgres.kill)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(rig.postgres.start)
    rig.down.discard("postgres")


async def kill_apiserver(rig: Rig, fault: Fault, rng: random.Random) -> None:
    await _away(rig, rig.plane.apiserver, fault.seconds / 3)


async def kill_job_controller(rig: Rig, fault: Fault, rng: random.Random) -> None:
    await _away(rig, rig.plane.controller_manager, fault.seconds)


async def kill_node(rig: Rig, fault: Fault, rng: random.Random) -> None:
    await _away(rig, rig.node, fault.seconds)


async def kill_containers(rig: Rig, fault: Fault, rng: random.Random) -> None:
    boxes = sorted((box for entry in rig.sandboxes.iterdir() if (box := Sandbox(entry)).pid()), key=str)
    for box in rng.sample(boxes, min(2, len(boxes))):
        pid = box.pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


async def delete_pods(rig: Rig, fault: Fault, rng: random.Random) -> None:
    with suppress(OctoError):
        page = await rig.kube.list_page(PODS, NAMESPACE)
        pods = page["items"]
        for pod in rng.sample(pods, min(2, len(pods))):
            await rig.kube.delete(PODS, NAMESPACE, pod["metadata"]["name"], grace_period_seconds=rng.choice((0, 1)))


async def delete_jobs(rig: Rig, fault: Fault, rng: random.Random) -> None:
    with suppress(OctoError):
        page = await rig.kube.list_page(JOBS, NAMESPACE)
        jobs = page["items"]
        for job in rng.sample(jobs, min(2, len(jobs))):
            how: Propagation = "Foreground" if rng.random() < 0.5 else "Background"
            rig.deleted[job["metadata"]["name"]] += 1
            await rig.kube.delete(JOBS, NAMESPACE, job["metadata"]["name"], propagation=how)


async def cut_leader(rig: Rig, fault: Fault, rng: random.Random) -> None:
    proxy = rig.proxies[await leader(rig)]
    proxy.cut()
    await asyncio.sleep(fault.seconds)
    proxy.heal()


async def cut_all(rig: Rig, fault: Fault, rng: random.Random) -> None:
    for proxy in rig.proxies:
        proxy.cut()
    await asyncio.sleep(fault.seconds)
    for proxy in rig.proxies:
        proxy.heal()


async def lost_deletes(rig: Rig, fault: Fault, rng: random.Random) -> None:
    """Jobs are deleted while nobody watches, and the watches then cannot go on where they were."""
    for proxy in rig.proxies:
        proxy.cut()
    await delete_jobs(rig, fault, rng)
    await asyncio.sleep(fault.seconds / 2)
    for proxy in rig.proxies:
        proxy.heal()
        proxy.forget(8)


async def stall_watches(rig: Rig, fault: Fault, rng: random.Random) -> None:
    for proxy in rig.proxies:
        proxy.stall_watches()
    await asyncio.sleep(fault.seconds)
    for proxy in rig.proxies:
        proxy.heal()


async def storm(rig: Rig, fault: Fault, rng: random.Random) -> None:
    for number, proxy in enumerate(rig.proxies):
        proxy.storm(rng.choice((0.2, 0.5, 0.9)), fault.seed + number)
    await asyncio.sleep(fault.seconds)
    for proxy in rig.proxies:
        proxy.heal()


async def step_clock(rig: Rig, fault: Fault, rng: random.Random) -> None:
    """Forth or back; below what a deadline of these runs could mistake for its time."""
    rig.clock.write_text(str(rng.choice((-120, -5, 5, 120))))


async def expired_watches(rig: Rig, fault: Fault, rng: random.Random) -> None:
    """Jobs are deleted while nobody watches; then etcd has no history, and a new API server no memory, of it: 410."""
    for proxy in rig.proxies:
        proxy.cut()
    await delete_jobs(rig, fault, rng)
    # etcd may be away itself just now.
    with suppress(OSError, HTTPException, ValueError, AssertionError):
        await asyncio.to_thread(rig.plane.compact)
    await _away(rig, rig.plane.apiserver, fault.seconds / 3)
    for proxy in rig.proxies:
        proxy.heal()


async def meddle(rig: Rig, fault: Fault, rng: random.Random) -> None:
    """Another writer changes the same objects all the time: what was read a moment ago is old, and writes meet 409."""
    deadline = time.monotonic() + fault.seconds
    for number in count():
        for resource in (OCTOJOBS, JOBS):
            with suppress(OctoError):
                async for raw in rig.kube.items(resource, NAMESPACE):
                    if time.monotonic() > deadline:
                        return
                    note = {"metadata": {"annotations": {"example.com/meddler": str(number)}}}
                    with suppress(OctoError):
                        await rig.kube.patch(resource, NAMESPACE, raw["metadata"]["name"], note)
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.02)


async def kill_etcd(rig: Rig, fault: Fault, rng: random.Random) -> None:
    await _away(rig, rig.plane.etcd, fault.seconds / 3)


async def kill_control_plane(rig: Rig, fault: Fault, rng: random.Random) -> None:
    """All of it at once, as a node with the control plane on it goes."""
    plane = rig.plane
    parts = (plane.etcd, plane.apiserver, plane.controller_manager)
    await asyncio.gather(*(_away(rig, program, fault.seconds / 2) for program in parts))


Inflict = Callable[[Rig, Fault, random.Random], Awaitable[None]]
FAULTS: dict[str, Inflict] = {
    function.__name__: function
    for function in (
        kill_leader,
        kill_standby,
        kill_both,
        freeze_leader,
        kill_api,
        kill_postgres,
        kill_apiserver,
        kill_job_controller,
        kill_node,
        kill_containers,
        delete_pods,
        delete_jobs,
        cut_leader,
        cut_all,
        lost_deletes,
        stall_watches,
        storm,
        step_clock,
    )
}
"""By name. What a seed plays follows from their number and order, so new kinds go below."""
LATE_FAULTS: dict[str, Inflict] = {
    function.__name__: function for function in (expired_watches, meddle, kill_etcd, kill_control_plane)
}
