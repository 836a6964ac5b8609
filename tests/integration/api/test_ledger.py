"""The ledger tells what is stored of a provider's files, and a reset has some of them fetched again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import PROVIDERS, Api
from tests.integration.api.test_problems import problem
from tests.integration.api.test_reports import FILE, UID, add_run, report
from tests.support.fake_kube import FakeKube


@pytest.fixture
def worker(api: Api, kube: FakeKube) -> httpx.AsyncClient:
    add_run(kube)
    return api.client(None, Authorization="Bearer good")


def stored(path: str, at: str = "2026-01-02T03:04:05Z", **more: Any) -> dict[str, Any]:
    return {**FILE, "sourcePath": path, "finishedAt": at, **more}


async def paths(admin: httpx.AsyncClient, **query: Any) -> list[str]:
    found = await admin.get("/v1/providers/acme/ledger", params=query)
    assert found.status_code == 200, found.text
    return [entry["sourcePath"] for entry in found.json()["items"]]


async def test_what_runs_report_is_entered(admin: httpx.AsyncClient, worker: httpx.AsyncClient) -> None:
    rows = [
        stored("in/b.csv"),
        stored("in/a.zip", member="y"),
        stored("in/a.zip", member="x"),
        stored("out/c.csv", at="2026-02-01T00:00:00Z", outcome="AlreadyStored"),
        {**stored("in/broken.csv"), "outcome": "Failed", "key": None},
    ]
    for _ in range(2):
        assert (await worker.post(f"/v1/reports/{UID}", json=report(*rows))).status_code == 204
    assert await paths(admin) == ["in/a.zip", "in/a.zip", "in/b.csv", "out/c.csv"]
    (entry,) = (await admin.get("/v1/providers/acme/ledger?pathPrefix=in/b")).json()["items"]
    assert (entry["jobId"], entry["key"], entry["size"], entry["storedAt"]) == (
        UID,
        FILE["key"],
        20,
        "2026-01-02T03:04:05Z",
    )
    assert await paths(admin, pathPrefix="in/") == ["in/a.zip", "in/a.zip", "in/b.csv"]
    assert await paths(admin, storedAfter="2026-01-15T00:00:00Z") == ["out/c.csv"]
    assert await paths(admin, storedBefore="2026-01-15T00:00:00Z", jobId=UID, pathPrefix="out") == []
    seen, cursor = [], None
    while True:
        query = {"limit": 1, **({"cursor": cursor} if cursor else {})}
        page = (await admin.get("/v1/providers/acme/ledger", params=query)).json()
        seen += [(entry["sourcePath"], entry["member"]) for entry in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == [("in/a.zip", "x"), ("in/a.zip", "y"), ("in/b.csv", ""), ("out/c.csv", "")]


async def test_only_forward(admin: httpx.AsyncClient, worker: httpx.AsyncClient) -> None:
    for at, size in (("2026-01-02T00:00:00Z", 2), ("2026-01-01T00:00:00Z", 1), ("2026-01-03T00:00:00Z", 3)):
        await worker.post(f"/v1/reports/{UID}", json=report(stored("a", at=at, size=size)))
    (entry,) = (await admin.get("/v1/providers/acme/ledger")).json()["items"]
    assert entry["size"] == 3


async def test_a_reset_waits_on_the_provider_until_it_is_done(
    admin: httpx.AsyncClient, worker: httpx.AsyncClient, kube: FakeKube
) -> None:
    await worker.post(f"/v1/reports/{UID}", json=report(stored("in/a"), stored("in/b")))
    asked = {"paths": ["in/a", "in/b", "in/typo"], "reason": "sent again by the bank"}
    key = {"Idempotency-Key": "monday"}
    answer = await admin.post("/v1/providers/acme/ledger:reset", json=asked, headers=key)
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [(item["sourcePath"], item["known"]) for item in items] == [
        ("in/a", True),
        ("in/b", True),
        ("in/typo", False),
    ]
    waiting = kube.objects[f"{PROVIDERS}/acme"]["spec"]["refetch"]
    assert waiting == [{"path": item["sourcePath"], "id": item["id"]} for item in items]
    again = await admin.post("/v1/providers/acme/ledger:reset", json=asked, headers=key)
    assert again.json() == answer.json()
    assert kube.objects[f"{PROVIDERS}/acme"]["spec"]["refetch"] == waiting

    done = stored("in/a", at="2026-01-03T00:00:00Z", refetch=items[0]["id"])
    await worker.post(f"/v1/reports/{UID}", json=report(done))
    left = [entry["path"] for entry in kube.objects[f"{PROVIDERS}/acme"]["spec"]["refetch"]]
    assert left == ["in/b", "in/typo"]
    await admin.post("/v1/providers/acme/ledger:reset", json=asked, headers=key)
    left = [entry["path"] for entry in kube.objects[f"{PROVIDERS}/acme"]["spec"]["refetch"]]
    assert left == ["in/b", "in/typo"], "sent again after it was done, it asked for a second time"
    (entry,) = (await admin.get("/v1/providers/acme/ledger?pathPrefix=in/a")).json()["items"]
    assert entry["refetch"] == items[0]["id"]


async def test_a_change_of_the_provider_leaves_waiting_resets(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    await admin.post("/v1/providers/acme/ledger:reset", json={"paths": ["in/a"]})
    spec = kube.objects[f"{PROVIDERS}/acme"]["spec"]
    bare = {key: value for key, value in spec.items() if key != "refetch"}
    assert (await admin.put("/v1/providers/acme", json={"spec": bare})).status_code == 200
    assert kube.objects[f"{PROVIDERS}/acme"]["spec"] == spec


async def test_refusals(api: Api, admin: httpx.AsyncClient) -> None:
    reset = "/v1/providers/acme/ledger:reset"
    assert problem(await admin.post(reset, json={"paths": []}))["status"] == 422
    assert problem(await admin.post(reset, json={"paths": ["a\u0000"]}))["status"] == 422
    assert problem(await admin.post(reset.replace("acme", "gone"), json={"paths": ["a"]}))["status"] == 404
    too_many = await admin.post(reset, json={"paths": [f"p{n}" for n in range(64)]})
    assert too_many.status_code == 200
    full = problem(await admin.post(reset, json={"paths": ["another"]}))
    assert (full["status"], full["errors"][0]["pointer"]) == (422, "/paths")
    reader = api.client(await api.keys.make("providers:read"))
    assert problem(await reader.post(reset, json={"paths": ["a"]}))["status"] == 403
    elsewhere = api.client(await api.keys.make(namespaces=("other",)))
    assert problem(await elsewhere.get("/v1/providers/acme/ledger"))["status"] == 403
