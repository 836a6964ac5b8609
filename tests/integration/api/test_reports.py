"""A worker reports of its own run, and of no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from octo_core.domain import names
from tests.integration.api.conftest import JOBS, Api, StartApi
from tests.support.fake_kube import FakeKube

BATCH = "/apis/batch/v1/namespaces/octo/jobs"
PODS = "/api/v1/namespaces/octo/pods"
UID = "11111111-1111-1111-1111-111111111111"
FILE: dict[str, Any] = {
    "sourcePath": "in/a.csv.gpg",
    "outcome": "Stored",
    "key": "data/csv/in/a.csv",
    "sourceSize": 10,
    "size": 20,
    "sha256": "0" * 64,
    "finishedAt": "2026-01-02T03:04:05Z",
}


def report(*files: dict[str, Any], attempt: int = 1, done: int = 1) -> dict[str, Any]:
    return {
        "attempt": attempt,
        "progress": {"filesSelected": 3, "filesDone": done, "summary": f"{done}/3"},
        "files": list(files),
    }


def add_run(kube: FakeKube, *, name: str = "run", uid: str = UID, attempt: int = 1, token: str = "good") -> None:
    """An OctoJob with the Job and the pod of an attempt, and the token of that pod."""
    kube.put(
        f"{JOBS}/{name}",
        {
            "metadata": {"uid": uid},
            "spec": {"providerRef": {"name": "acme"}},
            "status": {"state": "Running", "attempt": attempt},
        },
    )
    child = names.child_name(name, attempt)
    owner = {"apiVersion": names.API_VERSION, "kind": "OctoJob", "name": name, "uid": uid, "controller": True}
    job = kube.put(f"{BATCH}/{child}", {"metadata": {"ownerReferences": [owner]}})
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": child,
        "uid": job["metadata"]["uid"],
        "controller": True,
    }
    pod = kube.put(f"{PODS}/{child}-x", {"metadata": {"ownerReferences": [owner]}})
    kube.tokens[token] = {
        "authenticated": True,
        "audiences": [names.REPORT_AUDIENCE],
        "user": {
            "username": "system:serviceaccount:octo:worker",
            "extra": {
                "authentication.kubernetes.io/pod-name": [f"{child}-x"],
                "authentication.kubernetes.io/pod-uid": [pod["metadata"]["uid"]],
            },
        },
    }


@pytest.fixture
def worker(api: Api, kube: FakeKube) -> httpx.AsyncClient:
    add_run(kube)
    return api.client(None, Authorization="Bearer good")


async def test_progress_arrives_in_the_status(worker: httpx.AsyncClient, kube: FakeKube) -> None:
    assert (await worker.post(f"/v1/reports/{UID}", json=report(FILE))).status_code == 204
    progress = kube.objects[f"{JOBS}/run"]["status"]["progress"]
    assert (progress["filesDone"], progress["summary"]) == (1, "1/3")
    assert progress["updatedAt"]
    # The rest of the status is the controller's.
    assert kube.objects[f"{JOBS}/run"]["status"]["state"] == "Running"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda kube: kube.tokens.clear(), id="unknown token"),
        pytest.param(lambda kube: kube.tokens["good"].update(audiences=["other"]), id="other audience"),
        pytest.param(lambda kube: kube.tokens["good"]["user"].update(username="admin"), id="no service account"),
        pytest.param(lambda kube: kube.tokens["good"]["user"].update(extra={}), id="no pod"),
        pytest.param(lambda kube: kube.objects[f"{PODS}/run-1-x"]["metadata"].update(uid="other"), id="other pod"),
        pytest.param(lambda kube: kube.objects.pop(f"{PODS}/run-1-x"), id="pod gone"),
        pytest.param(lambda kube: kube.objects[f"{BATCH}/run-1"]["metadata"].update(uid="other"), id="other job"),
    ],
)
async def test_a_token_that_is_no_workers_gets_401(
    worker: httpx.AsyncClient, kube: FakeKube, spoil: Callable[[FakeKube], object]
) -> None:
    spoil(kube)
    answer = await worker.post(f"/v1/reports/{UID}", json=report(FILE))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "progress" not in kube.objects[f"{JOBS}/run"]["status"]


async def test_of_another_run_or_attempt_it_gets_403(worker: httpx.AsyncClient, kube: FakeKube) -> None:
    add_run(kube, name="other", uid="22222222", token="theirs")
    for uid, attempt in (("22222222", 1), (UID, 2)):
        answer = await worker.post(f"/v1/reports/{uid}", json=report(FILE, attempt=attempt))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    # A pod that an OctoJob does not own.
    kube.objects[f"{BATCH}/run-1"]["metadata"]["ownerReferences"] = []
    worker.headers["Authorization"] = "Bearer fresh"
    kube.tokens["fresh"] = kube.tokens["good"]
    assert (await worker.post(f"/v1/reports/{UID}", json=report(FILE))).status_code == 403
    assert "progress" not in kube.objects[f"{JOBS}/other"]["status"]


async def test_without_a_token_it_gets_401(api: Api, admin: httpx.AsyncClient) -> None:
    for client in (api.client(), admin):
        assert (await client.post(f"/v1/reports/{UID}", json=report())).status_code == 401


async def test_a_good_token_is_reviewed_once_a_minute(worker: httpx.AsyncClient, kube: FakeKube) -> None:
    for _ in range(3):
        await worker.post(f"/v1/reports/{UID}", json=report())
    assert sum(path.endswith("/tokenreviews") for _, path in kube.requests) == 1


async def test_progress_is_written_at_most_every_interval(start_api: StartApi, kube: FakeKube) -> None:
    add_run(kube)
    api = await start_api(progress_interval_seconds=60)
    worker = api.client(None, Authorization="Bearer good")
    for done in (1, 2):
        await worker.post(f"/v1/reports/{UID}", json=report(done=done))
    assert kube.objects[f"{JOBS}/run"]["status"]["progress"]["filesDone"] == 1


@pytest.mark.parametrize("change", [{"state": "Succeeded"}, {"attempt": 2}])
async def test_progress_never_touches_an_ended_run_or_another_attempt(
    worker: httpx.AsyncClient, kube: FakeKube, change: dict[str, Any]
) -> None:
    kube.objects[f"{JOBS}/run"]["status"].update(change)
    assert (await worker.post(f"/v1/reports/{UID}", json=report())).status_code == 204
    assert "progress" not in kube.objects[f"{JOBS}/run"]["status"]


async def test_a_conflict_on_progress_is_dropped(worker: httpx.AsyncClient, kube: FakeKube) -> None:
    kube.fault_before = lambda request: 409 if request.method == "PATCH" else None
    assert (await worker.post(f"/v1/reports/{UID}", json=report())).status_code == 204
    kube.fault_before = None
    assert (await worker.post(f"/v1/reports/{UID}", json=report(done=2))).status_code == 204
    assert kube.objects[f"{JOBS}/run"]["status"]["progress"]["filesDone"] == 2


async def test_rows_page_by_path_and_keep_the_newest_truth(
    api: Api, worker: httpx.AsyncClient, admin: httpx.AsyncClient, kube: FakeKube
) -> None:
    job = (await admin.post("/v1/jobs", json={"provider": "acme"})).json()
    add_run(kube, name=job["name"], uid=job["id"], token="first")
    first = api.client(None, Authorization="Bearer first")
    url = f"/v1/reports/{job['id']}"
    failed = {**FILE, "sourcePath": "b", "outcome": "Failed", "category": "Decrypt", "message": "bad\u0000packet"}
    members = [{**FILE, "sourcePath": "c.tar.gz", "member": m} for m in ("x", "y", "x")]
    assert (await first.post(url, json=report(FILE, failed, *members))).status_code == 204

    add_run(kube, name=job["name"], uid=job["id"], attempt=2, token="second")
    second = api.client(None, Authorization="Bearer second")
    found = {**FILE, "outcome": "AlreadyStored"}
    stored = {**FILE, "sourcePath": "b"}
    assert (await second.post(url, json=report(found, stored, attempt=2))).status_code == 204
    # A late report of the first attempt: its pod is not known by that name any more, but its token still is.
    assert (await first.post(url, json=report(failed))).status_code == 204

    rows, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await admin.get(f"/v1/jobs/{job['id']}/files", params=query)).json()
        rows += [(r["sourcePath"], r["member"], r["outcome"], r["attempt"]) for r in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert rows == [
        ("b", "", "Stored", 2),
        ("c.tar.gz", "x", "Stored", 1),
        ("c.tar.gz", "y", "Stored", 1),
        ("in/a.csv.gpg", "", "Stored", 1),
    ]
    answer = await admin.get(f"/v1/jobs/{job['id']}/files", params={"outcome": "Failed"})
    assert answer.json() == {"items": [], "nextCursor": None}
