"""What was asked for comes about exactly once, wherever the api is killed."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.api.conftest import PROVIDERS
from tests.integration.api.kills.conftest import SUBJECT, Rig


async def test_a_submission(rig: Rig) -> None:
    rig.killer.before = True

    async def ask(number: int) -> str:
        return str((await rig.post("/v1/jobs", {"provider": "acme"}, f"key-{number}"))["id"])

    async def check(number: int, uid: str) -> None:
        await rig.check_run(f"key-{number}", uid)
        await rig.check_audit("jobs.create", number)

    # Around the claim, behind the OctoJob, and around its record.
    assert await rig.killed_at_each_step(ask, check) >= 5


async def test_a_batch(rig: Rig) -> None:
    async def ask(number: int) -> list[str]:
        items = [{"provider": "acme"}, {"provider": "acme", "idempotencyKey": f"own-{number}"}]
        answer = await rig.post("/v1/jobs:batch", {"items": items}, f"key-{number}")
        assert answer["accepted"] == 2
        return [item["job"]["id"] for item in answer["items"]]

    async def check(number: int, uids: list[str]) -> None:
        for key, uid in zip((f"key-{number}\0" + "0", f"own-{number}"), uids, strict=True):
            await rig.check_run(key, uid)
        await rig.check_audit("jobs.batch", number)

    # Behind the claims, both OctoJobs, and their records.
    assert await rig.killed_at_each_step(ask, check) >= 4


async def test_requests_in_one_group(rig: Rig) -> None:
    """Three at once: none of them may lose what another has, or make it twice."""
    rig.killer.before = True

    async def ask(number: int) -> list[str]:
        asked = [rig.post("/v1/jobs", {"provider": "acme"}, f"key-{number}-{which}") for which in range(3)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if errors:
            raise errors[0]
        return [answer["id"] for answer in answers if not isinstance(answer, BaseException)]

    async def check(number: int, uids: list[str]) -> None:
        for which, uid in enumerate(uids):
            await rig.check_run(f"key-{number}-{which}", uid)

    assert await rig.killed_at_each_step(ask, check) >= 5


async def test_a_bulk_cancel(rig: Rig) -> None:
    made: dict[int, list[str]] = {}

    async def ask(number: int) -> list[str]:
        answer = await rig.post(
            "/v1/jobs:cancel",
            {"filter": {"labelSelector": f"number=n{number}"}, "expectedCount": 2},
            f"cancel-{number}",
        )
        assert answer["accepted"] == 2
        return sorted(item["id"] for item in answer["items"])

    async def prepared(number: int) -> list[str]:
        if number not in made:
            armed = rig.killer
            armed.disarm()
            body = {"provider": "acme", "labels": {"number": f"n{number}"}}
            runs = [await rig.post("/v1/jobs", body, f"run-{number}-{which}") for which in range(2)]
            made[number] = sorted(run["id"] for run in runs)
            armed.arm(number)
        return await ask(number)

    times: dict[str, str] = {}

    async def check(number: int, uids: list[str]) -> None:
        assert uids == made[number]
        jobs = {job["metadata"]["uid"]: job for job in rig.kube.of_kind("octojobs")}
        for uid in uids:
            asked = jobs[uid]["spec"]["cancel"]
            assert asked["requestedBy"] == SUBJECT
            times[uid] = asked["requestedAt"]
        answers = await rig.rows("SELECT answer FROM bulk_cancels")
        assert len(answers) == number
        assert all(row.answer is not None for row in answers)
        await rig.check_audit("jobs.cancel_many", number)

    # Behind the list of runs, both OctoJobs and their rows, and the answer that is kept.
    assert await rig.killed_at_each_step(prepared, check) >= 5
    cancels = {job["metadata"]["uid"]: job["spec"]["cancel"] for job in rig.kube.of_kind("octojobs")}
    assert {uid: cancel["requestedAt"] for uid, cancel in cancels.items()} == times, "each was told once"


async def test_a_reset_of_a_ledger(rig: Rig) -> None:
    async def ask(number: int) -> list[dict[str, Any]]:
        path = f"/in/{number}.csv"
        answer = await rig.post("/v1/providers/acme/ledger:reset", {"paths": [path]}, f"reset-{number}")
        return list(answer["items"])

    async def check(number: int, items: list[dict[str, Any]]) -> None:
        asked = rig.kube.objects[f"{PROVIDERS}/acme"]["spec"]["refetch"]
        assert [entry["path"] for entry in asked] == [f"/in/{each}.csv" for each in range(1, number + 1)]
        assert asked[-1]["id"] == items[0]["id"]
        await rig.check_audit("providers.reset_ledger", number)

    # Behind the OctoProvider, and the audit row.
    assert await rig.killed_at_each_step(ask, check) >= 2
