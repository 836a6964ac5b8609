"""One round: a workload, faults in the middle of it, and what must be true once they are over. All from one seed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx

from octo_core.domain.errors import AlreadyExistsError, NotFoundError, OctoError
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_ARCHIVED
from octo_core.kube.resources import OCTOJOBS, OCTOPROVIDERS
from tests.chaos.checks import await_ends, await_nothing_left, check
from tests.chaos.faults import Fault, inflict, make_faults, make_late_faults
from tests.chaos.rig import NAMESPACE, Rig
from tests.chaos.workload import PROVIDERS, Deed, Plan, Workload, make_workload, provider

Raw = dict[str, Any]
SPAN_SECONDS = 10.0
DONE_WITHIN = 240.0


class RoundError(AssertionError):
    """A round in which something was not as it must be; the message has all that is needed to do it again."""


async def play(rig: Rig, seed: int) -> str:
    """Do a round; what was done in it. Raises RoundError."""
    rng = random.Random(seed)
    workload = make_workload(rng, f"r{seed}", span=SPAN_SECONDS)
    faults = make_faults(rng, span=SPAN_SECONDS, number=rng.randint(1, 4))
    faults += make_late_faults(rng, span=SPAN_SECONDS)
    story = "; ".join(f"{fault.name} at {fault.at:.1f} for {fault.seconds:.1f} s" for fault in faults)
    rig.clock.unlink(missing_ok=True)
    await _make_providers(rig)
    try:
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for plan in workload.plans:
                group.create_task(_live(rig, workload, plan, start))
            for fault in faults:
                group.create_task(_at(start, fault.at, lambda fault=fault: _fault(rig, fault)))  # type: ignore[misc]
        await _heal(rig)
        ended = await await_ends(rig, workload)
        await check(rig, workload, ended)
        for plan in workload.plans:
            await _insist(lambda plan=plan: _delete(rig, workload, plan))  # type: ignore[misc]
        await await_nothing_left(rig, workload)
    except* (AssertionError, OctoError, httpx.HTTPError) as group_error:
        first = group_error.exceptions[0]
        raise RoundError(f"seed {seed} ({story}), in {rig.folder}: {first}") from group_error
    return story


async def _make_providers(rig: Rig) -> None:
    (rig.folder / "locks").mkdir(exist_ok=True)
    environment = {
        "LEDGER": str(rig.ledger),
        "BUCKET": str(rig.bucket),
        "LOCKS": str(rig.folder / "locks"),
    }
    for name in PROVIDERS:
        with suppress(AlreadyExistsError):
            await rig.kube.create(OCTOPROVIDERS, NAMESPACE, provider(name, environment))


async def _at(start: float, at: float, action: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(max(0.0, start + at - time.monotonic()))
    await action()


async def _fault(rig: Rig, fault: Fault) -> None:
    await inflict(rig, fault)


async def _live(rig: Rig, workload: Workload, plan: Plan, start: float) -> None:
    """What its owner does with one run, who tries until it works."""
    for deed in plan.deeds:
        await _at(start, deed.at, lambda deed=deed: _insist(lambda: _do(rig, workload, plan, deed)))  # type: ignore[misc]


async def _insist(action: Callable[[], Awaitable[None]]) -> None:
    deadline = time.monotonic() + DONE_WITHIN
    while True:
        try:
            await action()
            return
        except NotFoundError:
            return
        except (OctoError, httpx.HTTPError) as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"could not be done within {DONE_WITHIN:.0f} s: {error}") from error
        await asyncio.sleep(0.3)


async def _do(rig: Rig, workload: Workload, plan: Plan, deed: Deed) -> None:
    match deed.verb:
        case "submit":
            await _submit(rig, workload, plan)
        case "cancel" | "force":
            mode = "Force" if deed.verb == "force" else "Graceful"
            cancel = {"requestedAt": "2026-01-02T03:04:05Z", "requestedBy": "owner", "mode": mode}
            await _patch(rig, workload, plan, {"spec": {"cancel": cancel}})
        case "suspend" | "resume":
            await _patch(rig, workload, plan, {"spec": {"suspend": deed.verb == "suspend"}})
        case _:
            await _delete(rig, workload, plan)


async def _submit(rig: Rig, workload: Workload, plan: Plan) -> None:
    if plan.over_rest:
        headers = {"Idempotency-Key": plan.name}
        spec = {key: value for key, value in plan.spec().items() if key != "providerRef"}
        answer = await rig.http.post(f"/v1/providers/{plan.provider}/jobs", json=spec, headers=headers)
        if answer.status_code >= 500 or answer.status_code == 429:
            raise httpx.HTTPError(answer.text)
        assert answer.status_code in (200, 202), answer.text
        body = answer.json()
        workload.uids[plan.name] = body["id"]
        workload.names[plan.name] = body["name"]
        return
    with suppress(AlreadyExistsError):
        await rig.kube.create(OCTOJOBS, NAMESPACE, plan.manifest())
    raw = await rig.kube.get(OCTOJOBS, NAMESPACE, plan.name)
    workload.uids[plan.name] = raw["metadata"]["uid"]
    workload.names[plan.name] = plan.name


async def _patch(rig: Rig, workload: Workload, plan: Plan, body: Raw) -> None:
    await rig.kube.patch(OCTOJOBS, NAMESPACE, workload.names[plan.name], body)


async def _delete(rig: Rig, workload: Workload, plan: Plan) -> None:
    """Delete the very version that was read, so that it is known whether that was held."""
    raw = await rig.kube.get(OCTOJOBS, NAMESPACE, workload.names[plan.name])
    meta = raw["metadata"]
    if "deletionTimestamp" in meta:
        return
    if ARCHIVE_FINALIZER in meta.get("finalizers", ()) or LABEL_ARCHIVED in meta.get("labels", {}):
        workload.unheld.discard(plan.name)
    else:
        # Before it is done: of one whose answer is lost, the next look finds nothing.
        workload.unheld.add(plan.name)
    await rig.kube.delete(OCTOJOBS, NAMESPACE, meta["name"], uid=meta["uid"], resource_version=meta["resourceVersion"])


async def _heal(rig: Rig) -> None:
    """No fault any more, and everything answers."""
    for proxy in rig.proxies:
        proxy.heal()
    rig.clock.unlink(missing_ok=True)
    rig.down.clear()
    for program in (*rig.controllers, rig.api, rig.node):
        with suppress(ProcessLookupError, AssertionError):
            program.thaw()
    await _insist(lambda: _answers(rig))


async def _answers(rig: Rig) -> None:
    await rig.kube.ready()
    answer = await rig.http.get("/readyz")
    if answer.status_code != 200:
        raise httpx.HTTPError(answer.text)
