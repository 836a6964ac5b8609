"""Runs over REST: created exactly once, read from Postgres, cancelled and deleted in the cluster."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from octo_core.db.projection import mark_deleted, project
from octo_core.db.session import Database
from octo_core.domain import names
from octo_core.domain.partitions import partition_labels
from tests.integration.api.conftest import JOBS, PROVIDERS, Api, StartApi
from tests.support.fake_kube import FakeKube
from tests.support.postgres import PostgresServer

BODY = {"provider": "acme", "parameters": {"day": "2026-01-02"}}
KEY = {"Idempotency-Key": "night-run-1"}


async def test_create_makes_an_octojob_and_its_row(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    answer = await admin.post("/v1/jobs", json={**BODY, "priority": 7, "startAfter": "2026-05-01T02:00:00+02:00"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    (made,) = kube.of_kind("octojobs")
    assert made["metadata"]["uid"] == job["id"]
    assert made["metadata"]["finalizers"] == [names.ARCHIVE_FINALIZER]
    assert made["metadata"]["labels"] == {
        names.LABEL_MANAGED_BY: "octo",
        names.LABEL_PROVIDER: "acme",
        **partition_labels(made["metadata"]["namespace"], "acme"),
    }
    # Nothing but what was said: defaults may come from the provider.
    assert set(made["spec"]) == {"providerRef", "parameters", "priority", "startAfter", "requestedBy", "idempotency"}
    assert made["spec"]["startAfter"] == "2026-05-01T00:00:00Z"
    assert (job["state"], job["provider"], job["requestedBy"], job["priority"]) == ("Pending", "acme", "tester", 7)
    assert (await admin.get(answer.headers["Location"])).json() == job


async def test_both_routes_make_the_same_request(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    first = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    second = await admin.post("/v1/providers/acme/jobs", json={"parameters": BODY["parameters"]}, headers=KEY)
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len(kube.of_kind("octojobs")) == 1


async def test_without_a_key_each_request_is_a_run(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    for _ in range(2):
        assert (await admin.post("/v1/providers/acme/jobs")).status_code == 202
    assert len(kube.of_kind("octojobs")) == 2


async def test_same_key_with_another_body_is_refused(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    await admin.post("/v1/jobs", json=BODY, headers=KEY)
    answer = await admin.post("/v1/jobs", json={"provider": "acme"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert len(kube.of_kind("octojobs")) == 1


async def test_the_same_key_of_another_tenant_is_another(api: Api, kube: FakeKube) -> None:
    for subject in ("a", "b"):
        client = api.client(await api.keys.make(subject=subject))
        assert (await client.post("/v1/jobs", json=BODY, headers=KEY)).status_code == 202
    assert len(kube.of_kind("octojobs")) == 2


async def test_twenty_at_once_with_one_key_make_one_run(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    answers = await asyncio.gather(*(admin.post("/v1/jobs", json=BODY, headers=KEY) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert len(kube.of_kind("octojobs")) == 1


async def test_a_repeat_finds_its_run_when_job_and_provider_are_gone(
    admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    first = (await admin.post("/v1/jobs", json=BODY, headers=KEY)).json()
    kube.objects.clear()
    async with database.transaction() as session:
        await mark_deleted(session, [first["id"]], now=datetime.now(UTC))
    again = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    assert again.json()["deletedAt"] is not None
    assert kube.of_kind("octojobs") == []


async def test_an_expired_key_may_be_used_again(api: Api, admin: httpx.AsyncClient, kube: FakeKube) -> None:
    await admin.post("/v1/jobs", json=BODY, headers=KEY)
    del kube.objects[next(path for path in kube.objects if path.startswith(JOBS))]
    api.clock.offset = timedelta(days=8)
    again = await admin.post("/v1/jobs", json={"provider": "acme"}, headers=KEY)
    assert again.status_code == 202
    assert "Idempotent-Replayed" not in again.headers


async def test_an_unknown_provider_makes_nothing(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    answer = await admin.post("/v1/jobs", json={"provider": "nobody"}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (404, "provider-not-found")
    kube.put(f"{PROVIDERS}/nobody", {"spec": {}})
    answer = await admin.post("/v1/jobs", json={"provider": "nobody"}, headers=KEY)
    assert answer.status_code == 202


@pytest.mark.parametrize("created", [False, True], ids=["before the create", "after the create"])
async def test_a_lost_connection_is_repaired_by_a_retry(
    admin: httpx.AsyncClient, kube: FakeKube, created: bool
) -> None:
    _cut_creates(kube, after=created)
    answer = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert (answer.status_code, answer.json()["retryable"]) == (503, True)
    assert len(kube.of_kind("octojobs")) == created
    kube.fault_before = kube.fault_after = None
    again = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert again.status_code == 202
    (made,) = kube.of_kind("octojobs")
    assert made["metadata"]["uid"] == again.json()["id"]


@pytest.mark.parametrize("created", [False, True], ids=["before the create", "after the create"])
async def test_a_lost_connection_is_repaired_by_the_sweeper(start_api: StartApi, kube: FakeKube, created: bool) -> None:
    api = await start_api(sweep_after_seconds=0.2, sweep_interval_seconds=0.1)
    admin = api.client(await api.keys.make())
    _cut_creates(kube, after=created)
    assert (await admin.post("/v1/jobs", json=BODY, headers=KEY)).status_code == 503
    kube.fault_before = kube.fault_after = None
    items: list[dict[str, str]] = []
    for _ in range(100):
        items = (await admin.get("/v1/jobs")).json()["items"]
        if items:
            break
        await asyncio.sleep(0.05)
    (made,) = kube.of_kind("octojobs")
    assert [item["id"] for item in items] == [made["metadata"]["uid"]]
    again = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (made["metadata"]["uid"], "true")


async def test_postgres_lost_after_the_create_still_answers_with_the_run(
    start_api: StartApi, kube: FakeKube, postgres: PostgresServer
) -> None:
    api = await start_api(sweep_after_seconds=0.2, sweep_interval_seconds=0.1)
    admin = api.client(await api.keys.make())

    def stop_postgres(request: object) -> None:
        if getattr(request, "method", "") == "POST":
            postgres.stop()

    kube.fault_before = stop_postgres
    try:
        answer = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    finally:
        postgres.start()
    kube.fault_before = None
    assert answer.status_code == 202
    found: httpx.Response | None = None
    for _ in range(100):
        found = await admin.get(answer.headers["Location"])
        if found.status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert found is not None
    assert found.json() == answer.json()
    again = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert (again.json()["id"], len(kube.of_kind("octojobs"))) == (answer.json()["id"], 1)


async def test_a_claim_taken_away_by_a_refused_twin_is_put_back(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    arrived = asyncio.Event()

    def refuse_the_second(request: object) -> int | None:
        if getattr(request, "method", "") != "POST":
            return None
        refused = 403 if arrived.is_set() else None
        arrived.set()
        return refused

    # The first is still on its way when the second is refused.
    kube.delays["POST"] = 0.5
    kube.fault_before = refuse_the_second
    first = asyncio.create_task(admin.post("/v1/jobs", json=BODY, headers=KEY))
    await asyncio.wait_for(arrived.wait(), 240)
    second = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert (second.status_code, (await first).status_code) == (503, 202)
    del kube.objects[next(path for path in kube.objects if path.startswith(JOBS))]
    kube.fault_before = None
    again = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert again.json()["id"] == first.result().json()["id"]
    assert kube.of_kind("octojobs") == []


async def test_a_run_that_came_and_went_unrecorded_is_not_made_again(
    admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    _cut_creates(kube, after=True)
    await admin.post("/v1/jobs", json=BODY, headers=KEY)
    kube.fault_after = None
    # The controller mirrors it, and its time to live ends before the client comes back.
    path = next(path for path in kube.objects if path.startswith(JOBS))
    raw = kube.objects.pop(path)
    raw["metadata"]["creationTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    async with database.transaction() as session:
        await project(session, [raw], now=datetime.now(UTC))
        await mark_deleted(session, [raw["metadata"]["uid"]], now=datetime.now(UTC))
    again = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, raw["metadata"]["uid"])
    assert kube.of_kind("octojobs") == []


@pytest.mark.parametrize(("status", "expected"), [(422, 422), (403, 503)])
async def test_a_refusal_for_good_gives_the_key_back(
    admin: httpx.AsyncClient, kube: FakeKube, status: int, expected: int
) -> None:
    kube.fault_before = lambda request: status if request.method == "POST" else None
    answer = await admin.post("/v1/jobs", json=BODY, headers=KEY)
    assert answer.status_code == expected
    assert answer.json()["retryable"] is False
    kube.fault_before = None
    assert (await admin.post("/v1/jobs", json={"provider": "acme"}, headers=KEY)).status_code == 202


async def test_list_pages_filters_and_signed_cursors(api: Api, admin: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as session:
        await project(session, [_raw(n) for n in range(7)], now=datetime.now(UTC))
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await admin.get("/v1/jobs", params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = page["nextCursor"]
    # Newest first; of those made in the same second, the higher uid first.
    assert seen == [f"uid-{n}" for n in reversed(range(7))]

    failed = await admin.get("/v1/jobs", params={"state": "Failed", "failureCategory": "Auth", "provider": "p1"})
    assert [item["id"] for item in failed.json()["items"]] == ["uid-5", "uid-3", "uid-1"]
    assert [i["id"] for i in (await admin.get("/v1/jobs", params={"name": "job-4"})).json()["items"]] == ["uid-4"]
    for bad in (cursor[:-2] + "AA", "nonsense", "é", ""):
        answer = await admin.get("/v1/jobs", params={"limit": 3, "cursor": bad})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor"), bad
    other = await admin.get("/v1/jobs", params={"cursor": cursor, "state": "Failed"})
    assert other.json()["code"] == "invalid-cursor"

    # Another namespace's jobs are neither listed nor found.
    client = api.client(await api.keys.make(namespaces=("elsewhere",)))
    assert (await client.get("/v1/jobs")).json()["items"] == []
    assert (await client.get("/v1/jobs/uid-1")).json()["code"] == "job-not-found"
    assert (await client.get("/v1/jobs/uid-1/files")).status_code == 404
    assert (await client.get("/v1/jobs", params={"namespace": "octo"})).status_code == 403


async def test_cancel_is_idempotent_and_may_be_forced(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    job = (await admin.post("/v1/jobs", json=BODY)).json()
    url = f"/v1/jobs/{job['id']}:cancel"
    first = await admin.post(url, json={"reason": "wrong day"})
    assert first.status_code == 202
    (made,) = kube.of_kind("octojobs")
    cancel = made["spec"]["cancel"]
    assert (cancel["requestedBy"], cancel["reason"], cancel["mode"]) == ("tester", "wrong day", "Graceful")
    assert (await admin.post(url)).json() == first.json()
    forced = await admin.post(url, json={"mode": "Force"})
    assert forced.json()["spec"]["cancel"] == {**cancel, "mode": "Force"}
    assert (await admin.post(url)).json()["spec"]["cancel"]["mode"] == "Force"


@pytest.mark.parametrize(("state", "status"), [("Succeeded", 409), ("Failed", 409), ("Cancelled", 409)])
async def test_what_has_ended_cannot_be_cancelled(
    admin: httpx.AsyncClient, kube: FakeKube, state: str, status: int
) -> None:
    job = (await admin.post("/v1/jobs", json=BODY)).json()
    (made,) = kube.of_kind("octojobs")
    made["status"] = {"state": state}
    answer = await admin.post(f"/v1/jobs/{job['id']}:cancel")
    assert (answer.status_code, answer.json()["code"]) == (status, "invalid-state")


async def test_a_repeated_cancel_answers_the_same_when_it_has_worked(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    job = (await admin.post("/v1/jobs", json=BODY)).json()
    await admin.post(f"/v1/jobs/{job['id']}:cancel")
    (made,) = kube.of_kind("octojobs")
    made["status"] = {"state": "Cancelled"}
    again = await admin.post(f"/v1/jobs/{job['id']}:cancel")
    assert (again.status_code, again.json()["state"]) == (202, "Cancelled")


async def test_cancel_retries_a_conflict(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    job = (await admin.post("/v1/jobs", json=BODY)).json()
    (path,) = (path for path in kube.objects if path.startswith(JOBS))
    writes = iter([True, True, False])

    def controller_writes(request: object) -> None:
        # As the controller would between our read and our write.
        if getattr(request, "method", "") == "PATCH" and next(writes):
            kube.put(path, kube.objects[path])

    kube.fault_before = controller_writes
    assert (await admin.post(f"/v1/jobs/{job['id']}:cancel")).status_code == 202
    assert "cancel" in kube.objects[path]["spec"]


async def test_cancel_of_what_is_gone_or_was_never_there(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    job = (await admin.post("/v1/jobs", json=BODY)).json()
    (path,) = (path for path in kube.objects if path.startswith(JOBS))
    # Another OctoJob of that name must not be touched.
    kube.objects[path]["metadata"]["uid"] = "another"
    assert (await admin.post(f"/v1/jobs/{job['id']}:cancel")).status_code == 409
    assert "cancel" not in kube.objects[path]["spec"]
    del kube.objects[path]
    assert (await admin.post(f"/v1/jobs/{job['id']}:cancel")).status_code == 409
    assert (await admin.post("/v1/jobs/no-such:cancel")).status_code == 404


async def test_delete_keeps_the_history(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    job = (await admin.post("/v1/jobs", json=BODY)).json()
    for _ in range(2):
        assert (await admin.delete(f"/v1/jobs/{job['id']}")).status_code == 202
    (made,) = kube.of_kind("octojobs")
    assert made["metadata"]["deletionTimestamp"]
    assert (await admin.get(f"/v1/jobs/{job['id']}")).status_code == 200
    assert (await admin.delete("/v1/jobs/no-such")).status_code == 404


async def test_events_come_in_order_without_a_gap(admin: httpx.AsyncClient, kube: FakeKube, database: Database) -> None:
    job = (await admin.post("/v1/jobs", json=BODY)).json()
    (raw,) = kube.of_kind("octojobs")
    for version, state in ((10**6, "Running"), (10**6 + 1, "Succeeded")):
        raw["metadata"]["resourceVersion"] = str(version)
        raw["status"] = {"state": state, "attempt": 1}
        async with database.transaction() as session:
            await project(session, [raw], now=datetime.now(UTC))
    url = f"/v1/jobs/{job['id']}/events"
    first = (await admin.get(url, params={"limit": 2})).json()
    rest = (await admin.get(url, params={"after": first["lastId"]})).json()
    found = [(event["id"], event["type"]) for event in first["items"] + rest["items"]]
    assert found == [(1, "job.created"), (2, "job.running"), (3, "job.succeeded")]
    assert (await admin.get(url, params={"after": 3})).json() == {"items": [], "lastId": 3, "more": False}
    assert (await admin.get("/v1/jobs/no-such/events")).status_code == 404


async def test_providers(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    kube.put(f"{PROVIDERS}/own", {"spec": {"container": {"image": "x"}}})
    page = (await admin.get("/v1/providers", params={"limit": 1})).json()
    rest = (await admin.get("/v1/providers", params={"limit": 1, "cursor": page["nextCursor"]})).json()
    found = [(item["name"], item["type"]) for item in page["items"] + rest["items"]]
    assert found == [("acme", "sftp"), ("own", "container")]
    assert rest["nextCursor"] is None
    assert (await admin.get("/v1/providers/acme")).json()["spec"]["destination"] == {"s3": {"bucket": "landing"}}
    assert (await admin.get("/v1/providers/none")).json()["code"] == "provider-not-found"


async def test_an_expired_list_says_so(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    kube.fault_before = lambda request: 410
    answer = await admin.get("/v1/providers")
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor-expired")


def _cut_creates(kube: FakeKube, *, after: bool) -> None:
    def cut(request: object) -> int | None:
        return 0 if getattr(request, "method", "") == "POST" else None

    if after:
        kube.fault_after = cut
    else:
        kube.fault_before = cut


def _raw(n: int) -> dict[str, object]:
    return {
        "metadata": {
            "uid": f"uid-{n}",
            "namespace": "octo",
            "name": f"job-{n}",
            "resourceVersion": str(n + 1),
            # Two of them in each second.
            "creationTimestamp": f"2026-01-02T03:04:{n // 2:02}Z",
        },
        "spec": {"providerRef": {"name": f"p{n % 2}"}},
        "status": {"state": "Failed", "failure": {"category": "Auth", "reason": "x"}} if n % 2 else {},
    }
