"""A verification is a short run of its own; its steps are followed, and kept."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from octo_core.db.projection import project
from octo_core.db.session import Database
from tests.integration.api.conftest import PROVIDERS, Api
from tests.integration.api.test_problems import problem
from tests.integration.api.test_reports import add_pods, report
from tests.support.fake_kube import FakeKube

STEP = {"number": 1, "name": "secrets", "outcome": "Passed", "message": "ok", "finishedAt": "2026-01-02T03:04:05Z"}
FAILED = {
    **STEP,
    "number": 2,
    "name": "connect",
    "outcome": "Failed",
    "category": "RemoteUnavailable",
    "resolution": "Check the port.",
}
FAILURE = {
    "category": "RemoteUnavailable",
    "reason": "VerificationFailed",
    "message": "no answer",
    "resolution": "Check the port.",
    "retryable": True,
}


def pod_of(kube: FakeKube, api: Api, uid: str) -> httpx.AsyncClient:
    """The pod of a run that was asked for."""
    (path,) = [path for path, job in kube.objects.items() if job["metadata"]["uid"] == uid]
    name = path.rpartition("/")[2]
    kube.objects[path]["status"] = {"state": "Running", "attempt": 1}
    add_pods(kube, name=name, uid=uid)
    return api.client(None, Authorization="Bearer good")


async def finish(kube: FakeKube, database: Database, uid: str, state: str, **status: Any) -> None:
    """The run ends, and its row says so, as the mirror would have it."""
    (path,) = [path for path, job in kube.objects.items() if job["metadata"]["uid"] == uid]
    job = kube.put(path, {**kube.objects[path], "status": {"state": state, "attempt": 1, **status}})
    async with database.transaction() as session:
        await project(session, [job], now=datetime.now(UTC))


async def test_a_short_run_of_its_own(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    answer = await admin.post("/v1/providers/acme:verify", headers={"Idempotency-Key": "x"})
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert (found["state"], found["finished"], found["checks"]) == ("Pending", False, [])
    (job,) = kube.of_kind("octojobs")
    assert answer.headers["Location"] == f"/v1/jobs/{job['metadata']['uid']}/checks"
    spec = job["spec"]
    assert (spec["mode"], spec["retryPolicy"]["maxAttempts"]) == ("Verify", 1)
    assert spec["concurrency"] == {"key": "verify/acme", "policy": "Allow"}
    again = await admin.post("/v1/providers/acme:verify", headers={"Idempotency-Key": "x"})
    assert again.json()["jobId"] == found["jobId"]
    assert len(kube.of_kind("octojobs")) == 1


async def test_steps_are_followed_and_kept(
    admin: httpx.AsyncClient, api: Api, kube: FakeKube, database: Database
) -> None:
    uid = (await admin.post("/v1/providers/acme:verify")).json()["jobId"]
    events: list[dict[str, Any]] = []
    pod = pod_of(kube, api, uid)

    async def reports() -> None:
        for steps in ([STEP], [STEP, FAILED]):
            body = {**report(), "checks": steps}
            assert (await pod.post(f"/v1/reports/{uid}", json=body)).status_code == 204
        await finish(kube, database, uid, "Failed", failure=FAILURE)

    for accept in ("application/jsonl", "text/event-stream"):
        stream, _ = await asyncio.gather(
            admin.get(f"/v1/jobs/{uid}/checks", headers={"Accept": accept}, timeout=120), reports()
        )
        assert stream.headers["Content-Type"].startswith(accept)
        if accept == "application/jsonl":
            events = [json.loads(line) for line in stream.text.splitlines()]
            assert [event.pop("event") for event in events] == ["check", "check", "verification"]
        else:
            lines = stream.text.splitlines()
            assert [line for line in lines if line.startswith("event:")] == [
                "event: check",
                "event: check",
                "event: verification",
            ]
            events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data:")]
        assert [event["name"] for event in events[:2]] == ["secrets", "connect"]
        assert (events[1]["category"], events[1]["resolution"]) == ("RemoteUnavailable", "Check the port.")
        assert (events[2]["state"], events[2]["finished"], events[2]["message"]) == ("Failed", True, "no answer")
    kept = (await admin.get(f"/v1/jobs/{uid}/checks")).json()
    assert kept == events[2]


async def test_refusals(api: Api, admin: httpx.AsyncClient, kube: FakeKube) -> None:
    kube.put(f"{PROVIDERS}/own", {"spec": {"container": {"image": "x"}}})
    for name, status, code in (("gone", 404, "provider-not-found"), ("own", 409, "invalid-state")):
        answer = await admin.post(f"/v1/providers/{name}:verify")
        assert (answer.status_code, problem(answer)["code"]) == (status, code)
    for key in (await api.keys.make("providers:read"), await api.keys.make(namespaces=("other",))):
        client = api.client(key)
        assert problem(await client.post("/v1/providers/acme:verify"))["status"] == 403
    assert kube.of_kind("octojobs") == []
    assert problem(await admin.get("/v1/jobs/none/checks"))["status"] == 404
