"""What a schedule will fire, and runs for what it fired or should have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from octo_core.db.projection import project
from octo_core.db.session import Database
from tests.integration.api.conftest import JOBS, PROVIDER_SPEC, PROVIDERS, Api
from tests.integration.api.test_problems import problem
from tests.support.fake_kube import FakeKube

SPAN = {"start": "2026-03-02T06:00:00Z", "end": "2026-03-02T09:00:00Z"}
NAMES = ["acme-202603020600", "acme-202603020700", "acme-202603020800"]
BACKFILL = "/v1/providers/acme/schedule:backfill"


@pytest.fixture
async def hourly(kube: FakeKube, api: Api) -> None:
    kube.put(f"{PROVIDERS}/acme", {"spec": {**PROVIDER_SPEC, "schedule": {"cron": "@hourly"}}})
    kube.put(f"{PROVIDERS}/still", {"spec": PROVIDER_SPEC})


async def test_the_next_times(hourly: None, admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/v1/providers/acme/schedule?count=2&after=2026-03-02T06:30:00Z")
    assert answer.json()["nextTimes"] == ["2026-03-02T07:00:00Z", "2026-03-02T08:00:00Z"]
    assert answer.json()["schedule"]["cron"] == "@hourly"
    without = (await admin.get("/v1/providers/still/schedule")).json()
    assert (without["schedule"], without["nextTimes"]) == (None, [])


async def test_now(hourly: None, api: Api, admin: httpx.AsyncClient, kube: FakeKube) -> None:
    key = {"Idempotency-Key": "now"}
    made = await admin.post("/v1/providers/acme/schedule:trigger", headers=key)
    assert (made.status_code, made.json()["provider"]) == (202, "acme")
    (job,) = kube.of_kind("octojobs")
    assert (job["spec"]["scheduleRef"]["name"], job["metadata"]["labels"]["octo.dev/schedule"]) == ("acme", "acme")
    assert made.json()["schedule"] == "acme"
    api.clock.offset = timedelta(hours=1)
    again = await admin.post("/v1/providers/acme/schedule:trigger", headers=key)
    assert (again.json()["id"], len(kube.of_kind("octojobs"))) == (made.json()["id"], 1)
    # A plain run of the provider is another request.
    plain = await admin.post("/v1/providers/acme/jobs", headers=key)
    assert (plain.status_code, plain.json()["code"]) == (422, "idempotency-key-reused")
    refused = await admin.post("/v1/providers/still/schedule:trigger")
    assert problem(refused)["code"] == "invalid-state"


async def test_a_tick_has_one_run(hourly: None, admin: httpx.AsyncClient, kube: FakeKube, database: Database) -> None:
    """Live, made by the schedule itself, or archived and gone."""
    by_schedule = kube.put(f"{JOBS}/{NAMES[0]}", {"spec": {"providerRef": {"name": "acme"}}})
    archived = kube.put(f"{JOBS}/{NAMES[1]}", {"spec": {"providerRef": {"name": "acme"}}})
    async with database.transaction() as session:
        await project(session, [archived], now=datetime.now(UTC))
    del kube.objects[f"{JOBS}/{NAMES[1]}"]
    planned = await admin.post(f"{BACKFILL}?dryRun=All", json=SPAN)
    assert [item["created"] for item in planned.json()["items"]] == [False] * 3
    assert [job["metadata"]["name"] for job in kube.of_kind("octojobs")] == NAMES[:1]
    first = await admin.post(BACKFILL, json=SPAN)
    assert first.status_code == 202, first.text
    items = first.json()["items"]
    assert [(item["jobName"], item["created"]) for item in items] == list(zip(NAMES, (False, False, True), strict=True))
    assert [item["jobId"] for item in items[:2]] == [job["metadata"]["uid"] for job in (by_schedule, archived)]
    made = kube.objects[f"{JOBS}/{NAMES[2]}"]
    assert made["spec"]["scheduleRef"] == {"name": "acme", "scheduledTime": "2026-03-02T08:00:00Z"}
    second = (await admin.post(BACKFILL, json=SPAN)).json()["items"]
    assert second == [{**item, "created": False} for item in items]
    assert len(kube.of_kind("octojobs")) == 2


@pytest.mark.parametrize("fault", ["fault_before", "fault_after"])
async def test_cut_off_and_asked_again(hourly: None, admin: httpx.AsyncClient, kube: FakeKube, fault: str) -> None:
    seen = 0

    def cut_the_second(request: object) -> int | None:
        nonlocal seen
        if getattr(request, "method", "") != "POST":
            return None
        seen += 1
        return 0 if seen == 2 else None

    setattr(kube, fault, cut_the_second)
    assert problem(await admin.post(BACKFILL, json=SPAN))["code"] == "cluster-unavailable"
    setattr(kube, fault, None)
    assert (await admin.post(BACKFILL, json=SPAN)).status_code == 202
    assert sorted(job["metadata"]["name"] for job in kube.of_kind("octojobs")) == NAMES


async def test_refusals(hourly: None, api: Api, admin: httpx.AsyncClient) -> None:
    for body, where in (
        ({"start": SPAN["end"], "end": SPAN["start"]}, ""),
        ({"start": SPAN["start"], "end": "2099-01-01T00:00:00Z"}, "/end"),
        ({"start": "2020-01-01T00:00:00Z", "end": SPAN["end"]}, "/end"),
    ):
        answer = problem(await admin.post(BACKFILL, json=body))
        assert (answer["status"], answer["errors"][0]["pointer"]) == (422, where)
    assert problem(await admin.post(BACKFILL.replace("acme", "still"), json=SPAN))["status"] == 409
    reader = api.client(await api.keys.make("providers:read"))
    assert problem(await reader.post(BACKFILL, json=SPAN))["status"] == 403
