"""``GET /v1/jobs`` and ``GET /v1/jobs/{uid}``: filters, orders, field masks, entity tags."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from octo_api.jobs.schemas import Job
from octo_core.db import files
from octo_core.db.projection import mark_deleted, project
from octo_core.db.session import Database
from octo_core.domain.report import FileResult
from tests.integration.api.conftest import Api

STATUS = {
    "state": "Failed",
    "attempt": 2,
    "startTime": "2026-01-02T03:05:00Z",
    "completionTime": "2026-01-02T03:09:00Z",
    "progress": {"filesDone": 3, "filesSelected": 4, "summary": "3/4"},
    "failure": {"category": "Auth", "reason": "LoginRefused", "message": "no", "retryable": False},
    "attempts": [{"number": 1, "exitCode": 30}, {"number": 2, "exitCode": 30, "category": "Auth"}],
    "conditions": [
        {
            "type": "Succeeded",
            "status": "False",
            "reason": "LoginRefused",
            "message": "no",
            "lastTransitionTime": "2026-01-02T03:09:00Z",
        }
    ],
}


def raw(number: int, **more: Any) -> dict[str, Any]:
    """An OctoJob as the mirror sees it."""
    return {
        "metadata": {
            "uid": f"uid-{number}",
            "namespace": "octo",
            "name": f"job-{number}",
            "resourceVersion": str(number + 1),
            "creationTimestamp": f"2026-01-02T03:04:{number:02}Z",
            "labels": {"team": "risk" if number % 2 else "desk", **more.pop("labels", {})},
        },
        "spec": {"providerRef": {"name": "acme"}, "requestedBy": "ops", **more.pop("spec", {})},
        "status": more.pop("status", STATUS if number % 2 else {}),
    }


@pytest.fixture
async def runs(database: Database) -> None:
    scheduled = {"scheduleRef": {"name": "acme", "scheduledTime": "2026-01-02T03:00:00Z"}}
    some = [raw(n) for n in range(6)] + [
        raw(6, spec=scheduled),
        raw(7, spec={"rerunOf": {"name": "x", "uid": "uid-1"}}),
    ]
    async with database.transaction() as session:
        await project(session, some, now=datetime.now(UTC))


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_filters(admin: httpx.AsyncClient, runs: None) -> None:
    odd = ["uid-7", "uid-5", "uid-3", "uid-1"]
    assert await ids(admin, labelSelector="team=risk") == odd
    assert await ids(admin, labelSelector="team==risk,none=1") == []
    assert await ids(admin, state=["Failed", "Running"]) == odd
    assert await ids(admin, failureCategory="Auth", requestedBy="ops", namespace="octo") == odd
    assert await ids(admin, schedule="acme") == ["uid-6"]
    assert await ids(admin, rerunOf="uid-1") == ["uid-7"]
    assert await ids(admin, namePrefix="job-") == [f"uid-{n}" for n in reversed(range(8))]
    assert await ids(admin, namePrefix="job-3") == ["uid-3"]
    # What would be a wildcard in a pattern is a letter like any other.
    assert await ids(admin, createdAfter="2026-01-02T03:04:06Z") == ["uid-7", "uid-6"]
    assert await ids(admin, createdBefore="2026-01-02T04:04:01+01:00") == ["uid-0"]
    assert await ids(admin, startedAfter="2026-01-02T03:05:00Z", finishedBefore="2026-01-02T03:09:01Z") == odd
    assert await ids(admin, finishedAfter="2026-01-02T03:09:01Z") == []


async def test_orders(admin: httpx.AsyncClient, runs: None) -> None:
    assert await ids(admin, sort="createdAt") == [f"uid-{n}" for n in range(8)]
    assert await ids(admin, sort="finishedAt") == ["uid-1", "uid-3", "uid-5", "uid-7"]
    seen: list[str] = []
    query: dict[str, Any] = {"sort": "-finishedAt", "limit": 3, "fields": "id"}
    while True:
        page = (await admin.get("/v1/jobs", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == ["uid-7", "uid-5", "uid-3", "uid-1"]
    other = await admin.get("/v1/jobs", params={**query, "sort": "finishedAt"})
    assert (other.status_code, other.json()["code"]) == (422, "invalid-cursor")


async def test_a_cursor_of_another_caller_does_not_open_their_namespaces(
    api: Api, admin: httpx.AsyncClient, runs: None
) -> None:
    cursor = (await admin.get("/v1/jobs", params={"limit": 2})).json()["nextCursor"]
    client = api.client(await api.keys.make(namespaces=("elsewhere",)))
    answer = await client.get("/v1/jobs", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")


async def test_a_mask_leaves_only_what_was_asked_for(admin: httpx.AsyncClient, runs: None) -> None:
    page = await admin.get("/v1/jobs", params={"fields": ["id", "state", "progress"], "limit": 1})
    assert page.json()["items"] == [{"id": "uid-7", "state": "Failed", "progress": STATUS["progress"]}]


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "name"},
        {"fields": "secret"},
        {"state": "Done"},
        {"labelSelector": "a in (b)"},
        {"labelSelector": ""},
        {"createdAfter": "yesterday"},
        {"createdAfter": "2026-01-02T03:04:05"},
        {"requestedBy": "a\0b"},
        {"offset": "5"},
    ],
)
async def test_what_is_not_understood_is_refused(admin: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await admin.get("/v1/jobs", params=query)
    (name,) = query
    assert (answer.status_code, answer.json()["errors"][0]["pointer"].split("/")[1]) == (422, name)


async def test_a_run_is_what_its_schema_says(admin: httpx.AsyncClient, runs: None) -> None:
    for uid in ("uid-0", "uid-1", "uid-6"):
        answer = await admin.get(f"/v1/jobs/{uid}")
        Job.model_validate_json(answer.content)
    page = (await admin.get("/v1/jobs")).json()
    assert page["items"][-1] == (await admin.get("/v1/jobs/uid-0")).json()


async def test_an_unchanged_run_is_not_sent_again(admin: httpx.AsyncClient, runs: None, database: Database) -> None:
    etag = (await admin.get("/v1/jobs/uid-1")).headers["ETag"]
    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await admin.get("/v1/jobs/uid-1", headers={"If-None-Match": header})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    changed = raw(1)
    changed["metadata"]["resourceVersion"] = "99"
    async with database.transaction() as session:
        await project(session, [changed], now=datetime.now(UTC))
    second = await admin.get("/v1/jobs/uid-1", headers={"If-None-Match": etag})
    assert (second.status_code, second.headers["ETag"] != etag) == (200, True)
    async with database.transaction() as session:
        await mark_deleted(session, ["uid-1"], now=datetime.now(UTC))
    third = await admin.get("/v1/jobs/uid-1", headers={"If-None-Match": second.headers["ETag"]})
    assert third.status_code == 200
    bad = await admin.get("/v1/jobs/uid-1", headers={"If-None-Match": "unquoted"})
    assert bad.status_code == 422


async def test_files_by_path_and_filter(admin: httpx.AsyncClient, runs: None, database: Database) -> None:
    made = datetime(2026, 1, 2, tzinfo=UTC)
    rows = [
        FileResult.model_validate(
            {"source_path": f"in/{n}", "source_size": n, "finished_at": made, "source_modified_at": made}
            | ({"outcome": "Failed", "category": "Decrypt"} if n % 2 else {"outcome": "Stored", "key": f"k/{n}"})
        )
        for n in range(5)
    ]
    async with database.transaction() as session:
        await files.record(session, "uid-1", 1, rows)
        await files.record(session, "uid-1", 2, rows[3:4])

    async def paths(**query: Any) -> list[str]:
        page = (await admin.get("/v1/jobs/uid-1/files", params=query)).json()
        return [item["sourcePath"] for item in page["items"]]

    assert await paths() == ["in/0", "in/1", "in/2", "in/3", "in/4"]
    assert await paths(outcome="Failed") == ["in/1", "in/3"]
    assert await paths(category="Decrypt", attempt=2) == ["in/3"]
    assert await paths(pathPrefix="in/4") == ["in/4"]
    first = (await admin.get("/v1/jobs/uid-1/files", params={"limit": 2})).json()
    assert first["items"][0] == {
        **{"sourcePath": "in/0", "member": "", "outcome": "Stored", "key": "k/0", "sourceSize": 0, "tries": 1},
        **{"sourceModifiedAt": "2026-01-02T00:00:00Z", "finishedAt": "2026-01-02T00:00:00Z", "attempt": 1},
        **dict.fromkeys(("sourceSha256", "size", "sha256", "category", "message", "refetch")),
    }
    assert await paths(limit=2, cursor=first["nextCursor"]) == ["in/2", "in/3"]
    wrong = await admin.get("/v1/jobs/uid-1/files", params={"cursor": first["nextCursor"], "outcome": "Failed"})
    assert wrong.json()["code"] == "invalid-cursor"
    assert (await admin.get("/v1/jobs/none/files")).json()["code"] == "job-not-found"
