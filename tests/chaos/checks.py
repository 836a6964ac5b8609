"""What must be true after a round, whatever happened in it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from octo_core.domain.errors import OctoError
from octo_core.kube.resources import JOBS, OCTOJOBS, PODS
from tests.chaos.rig import NAMESPACE, Rig
from tests.chaos.workload import Plan, Workload
from tests.support.node import Sandbox

Raw = dict[str, Any]
WITHIN = 240.0
TERMINAL = {"Succeeded", "Failed", "Cancelled"}


async def eventually(what: str, probe: Callable[[], Awaitable[str]]) -> None:
    """Return once ``probe`` has nothing to complain of. Raises AssertionError with its last complaint."""
    deadline = time.monotonic() + WITHIN
    complaint = ""
    while True:
        try:
            complaint = await probe()
            if not complaint:
                return
        except (OctoError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            complaint = f"{type(error).__name__}: {error}"
        assert time.monotonic() < deadline, f"{what}: {complaint}"
        await asyncio.sleep(0.5)


@dataclass(frozen=True, slots=True)
class Ended:
    """What the cluster and Postgres showed when both had the last version of every run."""

    jobs: dict[str, Raw]
    """OctoJobs that are still there, by name."""
    rows: dict[str, Raw]
    """Rows by uid."""


async def await_ends(rig: Rig, workload: Workload) -> Ended:
    """Every run comes to its end, in the cluster and in Postgres."""
    seen: list[Ended] = []

    async def all_over() -> str:
        jobs = {raw["metadata"]["name"]: raw async for raw in rig.kube.items(OCTOJOBS, NAMESPACE)}
        rows = await rows_of(rig, workload)
        for plan in workload.plans:
            raw, row = jobs.get(workload.names[plan.name]), rows.get(workload.uids[plan.name])
            if raw is None and not plan.deleted:
                return f"{plan.name} is gone, and nobody deleted it"
            if raw is not None:
                state = raw.get("status", {}).get("state")
                if state not in TERMINAL:
                    return f"{plan.name} is {state}: {json.dumps(raw.get('status'))}"
                if row is None or int(row["resource_version"]) != int(raw["metadata"]["resourceVersion"]):
                    return f"{plan.name}: the row is not the OctoJob's last version"
            elif row is None and plan.name in workload.unheld:
                continue
            elif row is None or row["deleted_at"] is None:
                return f"{plan.name} was deleted, and its row does not say so: {row}"
        seen.append(Ended(jobs, rows))
        return ""

    await eventually("not all runs ended", all_over)
    return seen[-1]


async def check(rig: Rig, workload: Workload, ended: Ended) -> None:
    """The outcomes are right, nothing was done twice, and all who tell of it tell the same.

    Judged by what was seen at the end: that a run is archived is written on it afterwards, and mirrored a moment later.
    """
    jobs, rows = ended.jobs, ended.rows
    created = Counter(await asyncio.to_thread(rig.plane.created, f"jobs/{NAMESPACE}/"))
    ledger = [line.split() for line in rig.ledger.read_text().splitlines()]
    overlaps = [line for line in ledger if line[0] == "overlap"]
    assert not overlaps, f"two workers of one run at once: {overlaps}"
    for plan in workload.plans:
        name = workload.names[plan.name]
        raw, row = jobs.get(name), rows.get(workload.uids[plan.name])
        if raw is None and plan.name in workload.unheld:
            made = [child for child in created if child.rpartition("-")[0] == name]
            assert not made, f"{plan.name}: Jobs made before it was held: {made}"
            continue
        assert row is not None, f"{plan.name} has no row"
        status = raw["status"] if raw else row["status"]
        assert row["status"] == status, f"{plan.name}: Postgres and the cluster differ"
        _check_outcome(plan, row["state"], status)
        _check_attempts(plan, name, status, created, rig.deleted)
        _check_objects(plan, name, row["state"], ledger)


def _check_outcome(plan: Plan, state: str, status: Raw) -> None:
    category = status.get("failure", {}).get("category")
    allowed: set[tuple[str, str | None]] = {plan.natural}
    if plan.stoppable:
        allowed.add(("Cancelled", None))
        # Ended by its own outcome before its end was asked for took hold, which then is final.
        allowed |= {("Failed", each) for each in ("Infra", "RemoteUnavailable", "SinkUnavailable")}
    assert (state, category) in allowed, f"{plan.name} ended {state} {category}: {json.dumps(status)}"
    open_ = [attempt for attempt in status.get("attempts", ()) if "completionTime" not in attempt]
    assert not open_, f"{plan.name} is over, and attempts of it are not: {open_}"


def _check_attempts(plan: Plan, name: str, status: Raw, created: Counter[str], deleted: Counter[str]) -> None:
    made = {child: count for child, count in created.items() if child.rpartition("-")[0] == name}
    # One that somebody deletes before its uid is written down cannot be told from one that was never made.
    doubled = {child for child, count in made.items() if count > 1 + deleted[child]}
    assert not doubled, f"{plan.name}: a Job was made more than once: {made}"
    recorded = {f"{name}-{attempt['number']}" for attempt in status.get("attempts", ()) if "jobUID" in attempt}
    unknown = {child for child in made if child not in recorded and not deleted[child]}
    assert recorded <= set(made), f"{plan.name}: Jobs made {sorted(made)}, attempts recorded {sorted(recorded)}"
    assert not unknown, f"{plan.name}: Jobs made that no attempt tells of: {sorted(unknown)}"


def _check_objects(plan: Plan, name: str, state: str, ledger: list[list[str]]) -> None:
    puts = Counter(line[2] for line in ledger if line[:2] == ["put", name])
    assert all(count == 1 for count in puts.values()), f"{plan.name}: an object was written twice: {puts}"
    if state == "Succeeded":
        assert set(puts) == set(plan.files), f"{plan.name} succeeded without {set(plan.files) - set(puts)}"
        assert ["end", name, "0"] in ledger, f"{plan.name} succeeded, and no worker of it did"


async def await_nothing_left(rig: Rig, workload: Workload) -> None:
    """Once the OctoJobs are deleted: no object, no process, and rows that say so."""

    async def nothing() -> str:
        for resource in (OCTOJOBS, JOBS, PODS):
            page = await rig.kube.list_page(resource, NAMESPACE)
            if page["items"]:
                return f"{resource.plural} left: {[(raw['metadata'], raw.get('status')) for raw in page['items']][:3]}"
        alive = [entry.name for entry in rig.sandboxes.iterdir() if Sandbox(entry).pid() is not None]
        if alive:
            return f"processes left: {alive}"
        rows = await rows_of(rig, workload)
        missing = [
            plan.name for plan in workload.plans if not _says_gone(rows.get(workload.uids[plan.name]), plan, workload)
        ]
        return f"rows that do not say that the OctoJob is gone: {missing}" if missing else ""

    await eventually("something is left over", nothing)


def _says_gone(row: Raw | None, plan: Plan, workload: Workload) -> bool:
    return plan.name in workload.unheld if row is None else row["deleted_at"] is not None


async def rows_of(rig: Rig, workload: Workload) -> dict[str, Raw]:
    """The rows of the round's runs, by uid."""
    connection = await asyncpg.connect(rig.postgres.url("postgres"), timeout=10)
    try:
        found = await connection.fetch("SELECT * FROM jobs WHERE uid = ANY($1::text[])", list(workload.uids.values()))
    finally:
        await connection.close()
    return {row["uid"]: {**row, "status": json.loads(row["status"])} for row in found}
