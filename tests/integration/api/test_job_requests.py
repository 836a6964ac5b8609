"""Requests on runs beyond the plain create: waits, dry runs, labels, patches, reruns, batches, bulk cancels."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from octo_core.db import files
from octo_core.db.projection import project
from octo_core.db.session import Database
from octo_core.domain.report import FileResult
from tests.integration.api.conftest import JOBS, PROVIDERS, Api
from tests.support.fake_kube import FakeKube
from tests.support.postgres import PostgresServer

BODY = {"provider": "acme"}
KEY = {"Idempotency-Key": "one"}


async def end(kube: FakeKube, database: Database, uid: str, state: str = "Succeeded", **status: Any) -> None:
    """What the controller and its mirror would do."""
    path, raw = next((p, o) for p, o in kube.objects.items() if o["metadata"]["uid"] == uid)
    raw = kube.put(path, {**raw, "status": {"state": state, "attempt": 1, **status}})
    async with database.transaction() as session:
        await project(session, [raw], now=datetime.now(UTC))


async def test_a_wait_ends_with_the_run(admin: httpx.AsyncClient, kube: FakeKube, database: Database) -> None:
    made = (await admin.post("/v1/jobs", json=BODY, headers=KEY)).json()
    await end(kube, database, made["id"])
    answer = await admin.post("/v1/jobs", json=BODY, headers={**KEY, "Prefer": "wait=60"})
    assert (answer.status_code, answer.json()["state"]) == (200, "Succeeded")
    assert answer.headers["Preference-Applied"] == "wait=60"

    waiting = asyncio.create_task(admin.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=60"}))
    fresh: list[dict[str, Any]] = []
    for _ in range(2400):
        fresh = [raw for raw in kube.of_kind("octojobs") if raw["metadata"]["uid"] != made["id"]]
        if fresh:
            break
        await asyncio.sleep(0.05)
    await end(kube, database, fresh[0]["metadata"]["uid"], "Failed")
    answer = await waiting
    assert (answer.status_code, answer.json()["state"]) == (200, "Failed")


async def test_a_wait_that_is_over_answers_with_the_run_as_it_is(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/v1/jobs", json=BODY, headers={"Prefer": "respond-async, wait=0"})
    assert (answer.status_code, answer.json()["state"]) == (202, "Pending")
    assert answer.headers["Preference-Applied"] == "wait=0"


async def test_a_dry_run_keeps_nothing(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    for url, body in (("/v1/jobs", BODY), ("/v1/providers/acme/jobs", {})):
        answer = await admin.post(f"{url}?dryRun=All", json={**body, "labels": {"team": "risk"}}, headers=KEY)
        assert (answer.status_code, answer.json()["state"]) == (202, "Pending")
        assert "Location" not in answer.headers
        assert answer.json()["labels"]["team"] == "risk"
    assert kube.of_kind("octojobs") == []
    assert (await admin.get("/v1/jobs")).json()["items"] == []
    # The key was not used up.
    assert (await admin.post("/v1/jobs", json={**BODY, "priority": 1}, headers=KEY)).status_code == 202
    assert (await admin.post("/v1/jobs?dryRun=All", json={"provider": "none"})).status_code == 404
    kube.fault_before = lambda request: 422 if request.method == "POST" else None
    assert (await admin.post("/v1/jobs?dryRun=All", json=BODY)).status_code == 422


async def test_a_patch_changes_what_may_change(admin: httpx.AsyncClient, kube: FakeKube, database: Database) -> None:
    made = await admin.post("/v1/jobs", json={**BODY, "labels": {"team": "risk", "old": "1"}})
    url, etag = made.headers["Location"], made.headers["ETag"]
    headers = {"Content-Type": "application/merge-patch+json"}
    change = {"suspend": True, "priority": 9, "labels": {"team": "desk", "old": None}}
    changed = await admin.patch(url, content=json.dumps(change), headers={**headers, "If-Match": etag})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["priority"], changed.json()["spec"]["suspend"]) == (9, True)
    assert changed.json()["labels"]["team"] == "desk"
    assert "old" not in changed.json()["labels"]
    # Whoever wrote reads what they wrote, before the mirror comes by.
    read = await admin.get(url)
    assert (read.json(), read.headers["ETag"]) == (changed.json(), changed.headers["ETag"])

    stale = await admin.patch(url, json={"suspend": False}, headers={"If-Match": etag})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition-failed")
    assert (await admin.patch(url, json={"suspend": False})).json()["spec"]["suspend"] is False
    for wrong in ({}, {"provider": "x"}, {"labels": {"octo.dev/provider": "x"}}, {"priority": 5000}):
        assert (await admin.patch(url, json=wrong)).status_code == 422, wrong

    await end(kube, database, made.json()["id"])
    late = await admin.patch(url, json={"suspend": True})
    assert (late.status_code, late.json()["code"]) == (409, "invalid-state")
    assert (await admin.patch(url, json={"labels": {"seen": "yes"}})).json()["labels"]["seen"] == "yes"


async def test_a_rerun_is_a_new_run_and_exact(admin: httpx.AsyncClient, kube: FakeKube, database: Database) -> None:
    made = (await admin.post("/v1/jobs", json={**BODY, "labels": {"team": "risk"}, "parameters": {"a": "1"}})).json()
    url = f"/v1/jobs/{made['id']}:rerun"
    early = await admin.post(url)
    assert (early.status_code, early.json()["code"]) == (409, "invalid-state")
    await end(kube, database, made["id"], "Failed")
    none = await admin.post(url, json={"mode": "FailedFiles"})
    assert (none.status_code, none.json()["code"]) == (409, "invalid-state")

    rows = [
        FileResult.model_validate(
            {"source_path": f"in/{n}", "source_size": 1, "finished_at": datetime.now(UTC), "outcome": outcome}
        )
        for n, outcome in enumerate(("Stored", "Failed", "Failed"))
    ]
    async with database.transaction() as session:
        await files.record(session, made["id"], 1, rows)
    first = await admin.post(url, json={"mode": "FailedFiles"}, headers=KEY)
    assert first.status_code == 202, first.text
    again = await admin.post(url, json={"mode": "FailedFiles"}, headers=KEY)
    assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (first.json()["id"], "true")
    assert (await admin.post(url, json={"mode": "All"}, headers=KEY)).json()["code"] == "idempotency-key-reused"
    assert first.json()["spec"]["selection"] == {"policy": "Explicit", "files": ["in/1", "in/2"]}
    assert (first.json()["rerunOf"], first.json()["labels"]["team"]) == (made["id"], "risk")
    assert len(kube.of_kind("octojobs")) == 2
    # Also of one whose OctoJob is gone.
    kube.objects = {path: raw for path, raw in kube.objects.items() if raw["metadata"]["uid"] != made["id"]}
    assert (await admin.post(url)).json()["spec"]["parameters"] == {"a": "1"}


async def test_a_batch_has_a_result_for_each_item(api: Api, kube: FakeKube) -> None:
    client = api.client(await api.keys.make(namespaces=("octo",)))
    items = [
        {"provider": "acme", "idempotencyKey": "a"},
        {"provider": "none"},
        {"provider": "acme", "namespace": "other"},
        {"provider": "acme", "labels": {"octo.dev/provider": "x"}},
        {"provider": "acme", "idempotencyKey": "a", "priority": 1},
        {"provider": "acme"},
    ]
    # One at a time where keys meet, so that it is certain who comes first.
    first = await client.post("/v1/jobs:batch", json={"items": items[:1]})
    assert first.json()["items"][0]["status"] == 202
    answer = (await client.post("/v1/jobs:batch", json={"items": items})).json()
    assert [item["status"] for item in answer["items"]] == [202, 404, 403, 422, 422, 202]
    assert [item["replayed"] for item in answer["items"]] == [True, False, False, False, False, False]
    codes = [item["problem"] and item["problem"]["code"] for item in answer["items"]]
    assert codes == [None, "provider-not-found", "forbidden", "validation-failed", "idempotency-key-reused", None]
    assert (answer["accepted"], len(kube.of_kind("octojobs"))) == (2, 2)
    assert (await client.post("/v1/jobs:batch", json={"items": []})).status_code == 422
    assert (await client.post("/v1/jobs:batch", json={"items": [{"provider": "acme"}] * 1001})).status_code == 422


async def test_a_batch_under_one_key_is_exact_through_a_cluster_that_fails_half_way(
    admin: httpx.AsyncClient, kube: FakeKube
) -> None:
    body = {"items": [{"provider": "acme", "parameters": {"n": str(n)}} for n in range(20)]}
    count = 0

    def cut(request: Any) -> int | None:
        nonlocal count
        count += request.method == "POST"
        # Some are made and their answers lost, some are never made.
        return 0 if request.method == "POST" and count % 3 == 0 else None

    kube.fault_before, kube.fault_after = cut, cut
    first = (await admin.post("/v1/jobs:batch", json=body, headers=KEY)).json()
    assert 0 < first["accepted"] < 20
    assert {item["status"] for item in first["items"]} == {202, 503}
    kube.fault_before = kube.fault_after = None
    second = (await admin.post("/v1/jobs:batch", json=body, headers=KEY)).json()
    assert second["accepted"] == 20
    for before, after in zip(first["items"], second["items"], strict=True):
        assert before["job"] is None or before["job"]["id"] == after["job"]["id"]
    asked = sorted(item["job"]["spec"]["parameters"]["n"] for item in second["items"])
    assert asked == sorted(raw["spec"]["parameters"]["n"] for raw in kube.of_kind("octojobs"))


@pytest.fixture
async def five(admin: httpx.AsyncClient, kube: FakeKube, database: Database) -> list[str]:
    """Five runs of a team, the last of which has ended."""
    items = [{"provider": "acme", "labels": {"team": "risk"}} for _ in range(5)]
    made = (await admin.post("/v1/jobs:batch", json={"items": items})).json()["items"]
    ids = [item["job"]["id"] for item in made]
    await end(kube, database, ids[4])
    return ids


def cancelled(kube: FakeKube) -> set[str]:
    return {raw["metadata"]["uid"] for raw in kube.of_kind("octojobs") if "cancel" in raw["spec"]}


async def test_a_bulk_cancel_does_nothing_unless_the_count_is_right(
    admin: httpx.AsyncClient, kube: FakeKube, five: list[str]
) -> None:
    body = {"filter": {"labelSelector": "team=risk"}, "expectedCount": 5, "reason": "wrong day"}
    wrong = await admin.post("/v1/jobs:cancel", json=body, headers=KEY)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "count-differs")
    assert "4 jobs match" in wrong.json()["detail"]
    assert cancelled(kube) == set()
    right = await admin.post("/v1/jobs:cancel", json={**body, "expectedCount": 4}, headers=KEY)
    assert (right.status_code, right.json()["accepted"]) == (200, 4)
    assert cancelled(kube) == set(five[:4])
    # The repeat answers the same, though more match by now.
    await admin.post("/v1/jobs", json={**BODY, "labels": {"team": "risk"}})
    again = await admin.post("/v1/jobs:cancel", json={**body, "expectedCount": 4}, headers=KEY)
    assert again.json() == right.json()
    assert cancelled(kube) == set(five[:4])
    other = await admin.post("/v1/jobs:cancel", json={**body, "expectedCount": 1}, headers=KEY)
    assert other.json()["code"] == "idempotency-key-reused"
    ended = {"filter": {"state": ["Succeeded"]}, "expectedCount": 0}
    assert (await admin.post("/v1/jobs:cancel", json=ended)).json() == {"accepted": 0, "items": []}


async def test_a_bulk_cancel_cut_off_is_finished_by_its_repeat(
    admin: httpx.AsyncClient, kube: FakeKube, five: list[str]
) -> None:
    body = {"filter": {"labelSelector": "team=risk"}, "expectedCount": 4}
    patched = 0

    def cut(request: Any) -> int | None:
        nonlocal patched
        patched += request.method == "PATCH"
        return 0 if request.method == "PATCH" and patched > 2 else None

    kube.fault_before = cut
    first = (await admin.post("/v1/jobs:cancel", json=body, headers=KEY)).json()
    assert first["accepted"] == 2
    kube.fault_before = None
    # A new match is none of the first request's.
    await admin.post("/v1/jobs", json={**BODY, "labels": {"team": "risk"}})
    second = (await admin.post("/v1/jobs:cancel", json=body, headers=KEY)).json()
    assert second["accepted"] == 4
    assert cancelled(kube) == set(five[:4])


async def test_a_bulk_cancel_keeps_to_the_callers_namespaces(api: Api, kube: FakeKube, five: list[str]) -> None:
    client = api.client(await api.keys.make(namespaces=("elsewhere",)))
    answer = await client.post("/v1/jobs:cancel", json={"filter": {}, "expectedCount": 4})
    assert answer.json()["code"] == "count-differs"
    named = await client.post("/v1/jobs:cancel", json={"filter": {"namespace": "octo"}, "expectedCount": 4})
    assert named.status_code == 403
    assert cancelled(kube) == set()


async def test_attempts_and_manifest(admin: httpx.AsyncClient, kube: FakeKube, database: Database) -> None:
    made = (await admin.post("/v1/jobs", json=BODY)).json()
    url = f"/v1/jobs/{made['id']}"
    assert (await admin.get(f"{url}/attempts")).json() == {"items": []}
    rows = [
        FileResult.model_validate(
            {"source_path": f"in/{n:04}", "source_size": 1, "finished_at": datetime.now(UTC), "outcome": "Stored"}
        )
        for n in range(1001)
    ]
    async with database.transaction() as session:
        for start in range(0, 1000, 500):
            await files.record(session, made["id"], 1, rows[start : start + 500])
    attempts = [{"number": 1, "exitCode": 0}]
    await end(kube, database, made["id"], attempts=attempts, progress={"filesDone": 1001, "filesFailed": 0})
    assert (await admin.get(f"{url}/attempts")).json() == {"items": attempts}
    answer = await admin.get(f"{url}/manifest")
    assert answer.headers["Octo-Manifest-Complete"] == "false"
    assert answer.headers["Content-Type"] == "application/jsonl"
    async with database.transaction() as session:
        await files.record(session, made["id"], 1, rows[1000:])
    answer = await admin.get(f"{url}/manifest")
    assert answer.headers["Octo-Manifest-Complete"] == "true"
    # Line by line what the worker writes beside the data.
    assert answer.text.splitlines() == [row.model_dump_json(by_alias=True, exclude_none=True) for row in rows]
    assert (await admin.get("/v1/jobs/none/manifest")).status_code == 404


async def test_an_explanation_asks_the_cluster_and_does_without_it(
    admin: httpx.AsyncClient, kube: FakeKube, postgres: PostgresServer
) -> None:
    made = (await admin.post("/v1/jobs", json=BODY)).json()
    uid = made["id"]
    pod = kube.put(
        "/api/v1/namespaces/octo/pods/x",
        {"metadata": {"labels": {"octo.dev/job-uid": uid}}, "status": {"phase": "Pending", "reason": "Evicted"}},
    )
    kube.put("/api/v1/namespaces/octo/pods/y", {"metadata": {"labels": {"octo.dev/job-uid": "other"}}})
    about = {"kind": "Pod", "name": "x", "uid": pod["metadata"]["uid"]}
    kube.put("/api/v1/namespaces/octo/events/e", {"involvedObject": about, "reason": "BackOff", "type": "Warning"})
    path = next(path for path in kube.objects if path.startswith(JOBS))
    kube.put(path, {**kube.objects[path], "status": {"state": "Starting"}})
    live = (await admin.get(f"/v1/jobs/{uid}/explain")).json()
    assert (live["cluster"], live["state"]) == ("Live", "Starting")
    assert [pod["name"] for pod in live["pods"]] == ["x"]
    assert [(event["about"], event["reason"]) for event in live["events"]] == [("Pod/x", "BackOff")]
    assert live["summary"] == "Pod x: Evicted."

    kube.fault_before = lambda request: 500
    away = (await admin.get(f"/v1/jobs/{uid}/explain")).json()
    assert (away["cluster"], away["state"], away["pods"]) == ("Unavailable", "Pending", [])
    kube.fault_before = None
    del kube.objects[path]
    assert (await admin.get(f"/v1/jobs/{uid}/explain")).json()["cluster"] == "Gone"
    assert (await admin.get("/v1/jobs/none/explain")).status_code == 404


async def test_a_provider_that_was_there_is_not_asked_for_with_every_run(
    admin: httpx.AsyncClient, kube: FakeKube
) -> None:
    for _ in range(5):
        await admin.post("/v1/jobs", json=BODY)
    assert kube.requests.count(("GET", f"{PROVIDERS}/acme")) == 1
