"""A worker reports of its own run, and of no other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from octo_core.db import files, shards
from octo_core.db.session import Database
from octo_core.domain import names
from octo_core.domain.shard import INDEX_ANNOTATION
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


def report(*files: dict[str, Any], attempt: int = 1, done: int = 1, shard: int = 0) -> dict[str, Any]:
    return {
        "attempt": attempt,
        "shard": shard,
        "progress": {"filesSelected": 3, "filesDone": done, "summary": f"{done}/3"},
        "files": list(files),
    }


def add_run(
    kube: FakeKube,
    *,
    name: str = "run",
    uid: str = UID,
    attempt: int = 1,
    token: str = "good",
    workers: int = 1,
) -> None:
    """An OctoJob with the Job and the pods of an attempt, and the token of each pod: with several workers,
    ``<token>-<index>``."""
    kube.put(
        f"{JOBS}/{name}",
        {
            "metadata": {"uid": uid},
            "spec": {"providerRef": {"name": "acme"}},
            "status": {"state": "Running", "attempt": attempt},
        },
    )
    add_pods(kube, name=name, uid=uid, attempt=attempt, token=token, workers=workers)


def add_pods(kube: FakeKube, *, name: str, uid: str, attempt: int = 1, token: str = "good", workers: int = 1) -> None:
    """The Job and the pods of an attempt of an OctoJob, and the token of each pod."""
    child = names.child_name(name, attempt)
    owner = {"apiVersion": names.API_VERSION, "kind": "OctoJob", "name": name, "uid": uid, "controller": True}
    spec = {"completions": workers, **({"completionMode": "Indexed"} if workers > 1 else {})}
    meta: dict[str, Any] = {"ownerReferences": [owner], "labels": {names.LABEL_PROVIDER: "acme"}}
    job = kube.put(f"{BATCH}/{child}", {"metadata": meta, "spec": spec})
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": child,
        "uid": job["metadata"]["uid"],
        "controller": True,
    }
    for index in range(workers):
        meta = {"ownerReferences": [owner]}
        suffix = f"{index}-x" if workers > 1 else "x"
        if workers > 1:
            meta["annotations"] = {INDEX_ANNOTATION: str(index)}
        pod = kube.put(f"{PODS}/{child}-{suffix}", {"metadata": meta})
        kube.tokens[f"{token}-{index}" if workers > 1 else token] = {
            "authenticated": True,
            "audiences": [names.REPORT_AUDIENCE],
            "user": {
                "username": "system:serviceaccount:octo:worker",
                "extra": {
                    "authentication.kubernetes.io/pod-name": [f"{child}-{suffix}"],
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


async def test_guesses_are_limited_and_cost_the_cluster_no_more(start_api: StartApi, kube: FakeKube) -> None:
    api = await start_api(failed_logins_per_minute=1)
    add_run(kube)
    worker = api.client(None, Authorization="Bearer good")
    assert (await worker.post(f"/v1/reports/{UID}", json=report(FILE))).status_code == 204
    guess = api.client(None, Authorization="Bearer guess")
    answers = [(await guess.post(f"/v1/reports/{UID}", json=report(FILE))).status_code for _ in range(5)]
    assert answers == [401, 429, 429, 429, 429]
    reviews = [path for _, path in kube.requests if path.endswith("/tokenreviews")]
    assert len(reviews) == 2
    # Whoever was good before is not kept out by a neighbour, though its token is reviewed again by now.
    api.clock.offset += timedelta(minutes=2)
    assert [(await guess.post(f"/v1/reports/{UID}", json=report(FILE))).status_code for _ in range(3)][-1] == 429
    assert (await worker.post(f"/v1/reports/{UID}", json=report(FILE))).status_code == 204
    kube.tokens.clear()
    api.clock.offset += timedelta(seconds=70)
    assert [(await guess.post(f"/v1/reports/{UID}", json=report(FILE))).status_code for _ in range(3)][-1] == 429
    answers = [(await worker.post(f"/v1/reports/{UID}", json=report(FILE))).status_code for _ in range(2)]
    assert answers == [401, 429]


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


async def test_progress_is_not_written_before_its_interval(start_api: StartApi, kube: FakeKube) -> None:
    add_run(kube)
    api = await start_api(progress_interval_seconds=600)
    worker = api.client(None, Authorization="Bearer good")
    for done in (1, 2):
        assert (await worker.post(f"/v1/reports/{UID}", json=report(done=done))).status_code == 204
    assert "progress" not in kube.objects[f"{JOBS}/run"]["status"]


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


async def shard_rows(database: Database, attempt: int = 1) -> list[int]:
    """What each worker was last heard to have done."""
    async with database.transaction() as session:
        return [part.files_done for part in await shards.progress(session, UID, attempt)]


class TestSeveralWorkers:
    """Three workers share a run, and talk to two replicas of the api."""

    @pytest.fixture
    async def workers(self, start_api: StartApi, kube: FakeKube) -> list[httpx.AsyncClient]:
        add_run(kube, workers=3)
        replicas = [await start_api(), await start_api()]
        return [replicas[index % 2].client(None, Authorization=f"Bearer good-{index}") for index in range(3)]

    def progress(self, kube: FakeKube) -> dict[str, Any]:
        found: dict[str, Any] = kube.objects[f"{JOBS}/run"]["status"]["progress"]
        return found

    async def test_progress_is_the_sum_of_what_each_said_last(
        self, workers: list[httpx.AsyncClient], kube: FakeKube
    ) -> None:
        sums = []
        for index, done in ((0, 1), (1, 2), (2, 3), (0, 3), (1, 3)):
            answer = await workers[index].post(f"/v1/reports/{UID}", json=report(done=done, shard=index))
            assert answer.status_code == 204
            sums.append(self.progress(kube)["summary"])
        assert sums == ["1/3", "3/6", "6/9", "8/9", "9/9"]

    async def test_each_reports_of_its_own_shard_only(
        self, workers: list[httpx.AsyncClient], kube: FakeKube, database: Database
    ) -> None:
        for shard in (0, 2, 3):
            answer = await workers[1].post(f"/v1/reports/{UID}", json=report(FILE, shard=shard))
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        answer = await workers[1].post(f"/v1/reports/{UID}", json=report(FILE, shard=-1))
        assert answer.status_code == 422
        assert await shard_rows(database) == []
        assert "progress" not in kube.objects[f"{JOBS}/run"]["status"]

    async def test_a_pod_of_which_kubernetes_does_not_say_the_index_reports_nothing(
        self, workers: list[httpx.AsyncClient], kube: FakeKube
    ) -> None:
        del kube.objects[f"{PODS}/run-1-0-x"]["metadata"]["annotations"]
        assert (await workers[0].post(f"/v1/reports/{UID}", json=report())).status_code == 403

    async def test_another_attempt_begins_at_nothing(
        self, workers: list[httpx.AsyncClient], start_api: StartApi, kube: FakeKube
    ) -> None:
        for index in range(3):
            await workers[index].post(f"/v1/reports/{UID}", json=report(done=3, shard=index))
        add_run(kube, attempt=2, workers=3, token="again")
        again = (await start_api()).client(None, Authorization="Bearer again-2")
        await again.post(f"/v1/reports/{UID}", json=report(attempt=2, done=1, shard=2))
        assert self.progress(kube)["summary"] == "1/3"

    async def test_a_late_report_of_an_earlier_attempt_changes_nothing(
        self, workers: list[httpx.AsyncClient], kube: FakeKube
    ) -> None:
        kube.objects[f"{JOBS}/run"]["status"]["attempt"] = 2
        assert (await workers[0].post(f"/v1/reports/{UID}", json=report(done=3))).status_code == 204
        assert "progress" not in kube.objects[f"{JOBS}/run"]["status"]

    async def test_rows_of_all_of_them_are_of_one_run(
        self, workers: list[httpx.AsyncClient], database: Database
    ) -> None:
        for index in range(3):
            row = {**FILE, "sourcePath": f"in/{index}"}
            assert (await workers[index].post(f"/v1/reports/{UID}", json=report(row, shard=index))).status_code == 204
        async with database.transaction() as session:
            assert [row["source_path"] for row in await files.page(session, UID, limit=9)] == ["in/0", "in/1", "in/2"]


async def test_one_worker_alone_costs_no_row_of_progress(worker: httpx.AsyncClient, database: Database) -> None:
    assert (await worker.post(f"/v1/reports/{UID}", json=report(FILE))).status_code == 204
    assert await shard_rows(database) == []
    answer = await worker.post(f"/v1/reports/{UID}", json=report(FILE, shard=1))
    assert answer.status_code == 403
