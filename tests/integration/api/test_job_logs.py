"""``GET /v1/jobs/{uid}/logs``: from the pod while it is there, from the archive when it is gone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from octo_api.jobs.logs import pods
from octo_api.services import Services
from octo_core.db.projection import project
from octo_core.db.session import Database
from tests.integration.api.conftest import JOBS, Api
from tests.support.fake_kube import FakeKube

PODS = "/api/v1/namespaces/octo/pods"


def stamped(*texts: str, minute: int = 4) -> str:
    return "".join(f"2026-01-02T03:{minute:02}:{n:02}.5Z {text}\n" for n, text in enumerate(texts))


def put_pod(
    kube: FakeKube, uid: str, log: str, *, phase: str = "Running", attempt: int = 1, worker: int = 0, name: str = "pod"
) -> str:
    path = f"{PODS}/{name}"
    labels = {
        "octo.dev/job-uid": uid,
        "octo.dev/attempt": str(attempt),
        "app.kubernetes.io/managed-by": "octo",
    }
    old = kube.objects.get(path, {"metadata": {}})["metadata"].get("uid")
    meta: dict[str, Any] = {
        "labels": labels,
        "annotations": {"batch.kubernetes.io/job-completion-index": str(worker)},
        **({"uid": old} if old else {}),
    }
    kube.put(path, {"metadata": meta, "spec": {"containers": [{"name": "worker"}]}, "status": {"phase": phase}})
    kube.logs[path] = log
    return path


async def run(admin: httpx.AsyncClient, kube: FakeKube, database: Database, state: str = "Running") -> str:
    uid: str = (await admin.post("/v1/jobs", json={"provider": "acme"})).json()["id"]
    await turn(kube, database, uid, state)
    return uid


async def turn(kube: FakeKube, database: Database, uid: str, state: str, attempt: int = 1) -> None:
    path = next(p for p, raw in kube.objects.items() if raw["metadata"]["uid"] == uid and p.startswith(JOBS))
    raw = kube.put(path, {**kube.objects[path], "status": {"state": state, "attempt": attempt}})
    async with database.transaction() as session:
        await project(session, [raw], now=datetime.now(UTC))


def services(api: Api) -> Services:
    found = api.app.state.services
    assert isinstance(found, Services)
    return found


def told(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["Octo-Log-Source"], answer.headers["Octo-Log-Complete"]


async def test_the_log_is_the_same_from_pod_and_archive(
    api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    uid = await run(admin, kube, database)
    url = f"/v1/jobs/{uid}/logs"
    none = await admin.get(url)
    assert (told(none), none.text) == ((200, "none", "false"), "")

    log = stamped("one", "two \x1b[31mred", "three")
    path = put_pod(kube, uid, log)
    live = await admin.get(url, params={"timestamps": "true"})
    assert (told(live), live.text) == ((200, "pod", "false"), log.replace("\x1b", "\\x1b"))
    # It is under way, so there is nothing to keep yet.
    assert await services(api).log_archiver.round() == 0

    put_pod(kube, uid, log, phase="Succeeded")
    await turn(kube, database, uid, "Succeeded")
    over = await admin.get(url, params={"timestamps": "true"})
    assert (told(over), over.text) == ((200, "pod", "true"), live.text)
    await services(api).log_archiver.round()
    del kube.objects[path]
    gone = await admin.get(url, params={"timestamps": "true"})
    assert (told(gone), gone.text) == ((200, "archive", "true"), live.text)
    assert (await admin.get(url, params={"tailLines": 2})).text == "two \\x1b[31mred\nthree\n"
    assert (await admin.get(url, params={"since": "2026-01-02T03:04:02Z"})).text == "three\n"
    assert (await admin.get(url, params={"sinceSeconds": 1})).text == ""
    # Also without the cluster.
    kube.fault_before = lambda request: 500
    assert told(await admin.get(url)) == (200, "archive", "true")
    kube.fault_before = None
    assert (await admin.get("/v1/jobs/none/logs")).status_code == 404
    assert (await admin.get(url, params={"tailLines": -1})).status_code == 422
    client = api.client(await api.keys.make("jobs:read"))
    assert (await client.get(url)).status_code == 403


async def test_each_attempt_and_worker_has_its_own(
    api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    uid = await run(admin, kube, database)
    for attempt, worker in ((1, 0), (2, 0), (2, 1)):
        text = stamped(f"{attempt}/{worker}")
        put_pod(kube, uid, text, phase="Failed", attempt=attempt, worker=worker, name=f"p{attempt}{worker}")
    await turn(kube, database, uid, "Running", attempt=2)
    url = f"/v1/jobs/{uid}/logs"
    assert (await admin.get(url)).text == "2/0\n"
    assert (await admin.get(url, params={"worker": 1})).text == "2/1\n"
    first = await admin.get(url, params={"attempt": 1})
    # An attempt that is past has said all, wherever that is read.
    assert (first.headers["Octo-Log-Complete"], first.text) == ("true", "1/0\n")


async def test_what_could_be_had_of_a_pod_that_is_ending_is_kept(
    api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    uid = await run(admin, kube, database)
    path = put_pod(kube, uid, stamped("one"))
    kube.objects[path]["metadata"]["deletionTimestamp"] = "2026-01-02T03:05:00Z"
    archiver = services(api).log_archiver
    await archiver.round()
    kube.logs[path] = stamped("one", "two")
    await archiver.round()
    del kube.objects[path]
    await turn(kube, database, uid, "Cancelled")
    answer = await admin.get(f"/v1/jobs/{uid}/logs")
    # Nobody saw its end, and the answer says so.
    assert (told(answer), answer.text) == ((200, "archive", "false"), "one\ntwo\n")


async def test_a_log_that_is_too_long_says_so(
    api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    uid = await run(admin, kube, database, "Succeeded")
    line = "x" * 1000
    texts = "".join(f"2026-01-02T03:04:05.{n:09}Z {n} {line}\n" for n in range(pods.READ_BYTES // 1000))
    path = put_pod(kube, uid, texts, phase="Succeeded")
    await services(api).log_archiver.round()
    del kube.objects[path]
    answer = await admin.get(f"/v1/jobs/{uid}/logs")
    assert told(answer) == (200, "archive", "false")
    lines = answer.text.splitlines()
    assert (lines[0], lines[-1]) == (f"0 {line}", f"{pods.READ_BYTES // 1000 - 1} {line}")
    assert lines.count("[octo: the middle of this log was too long to be kept]") == 1
    assert len(answer.content) < 2 << 20


async def test_follow_says_each_line_once_until_the_end(
    admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    uid = await run(admin, kube, database)
    path = put_pod(kube, uid, stamped("one", "same"))
    following = asyncio.create_task(admin.get(f"/v1/jobs/{uid}/logs", params={"follow": "true"}))
    reads = kube.requests.count

    async def looked_again() -> None:
        before = reads(("GET", f"{path}/log"))
        for _ in range(2400):
            if reads(("GET", f"{path}/log")) > before + 1:
                return
            await asyncio.sleep(0.05)

    await looked_again()
    kube.logs[path] = stamped("one", "same", "three")
    await looked_again()
    put_pod(kube, uid, stamped("one", "same", "three", "four"), phase="Succeeded")
    await turn(kube, database, uid, "Succeeded")
    answer = await asyncio.wait_for(following, 120)
    assert answer.text == "one\nsame\nthree\nfour\n"
    assert told(answer) == (200, "pod", "false")


async def test_what_is_too_long_is_told_by_its_bytes(
    api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    """Letters of several bytes: fewer letters than the limit, and more bytes."""
    uid = await run(admin, kube, database, "Succeeded")
    line = "ü" * 1000
    count = pods.READ_BYTES // 1500
    path = put_pod(
        kube,
        uid,
        "".join(f"2026-01-02T03:04:05.{n:09}Z {n} {line}\n" for n in range(count)),
        phase="Succeeded",
    )
    await services(api).log_archiver.round()
    for source in ("pod", "archive"):
        answer = await admin.get(f"/v1/jobs/{uid}/logs")
        if source == "archive":
            assert told(answer) == (200, "archive", "false")
        assert answer.text.splitlines()[-1] == f"{count - 1} {line}"
        kube.objects.pop(path, None)


async def test_the_end_of_a_log_of_long_lines_is_its_end(
    api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    """Of the last lines the API server gives the first bytes, so they must not be too many."""
    uid = await run(admin, kube, database, "Succeeded")
    line = "x" * 12_000
    path = put_pod(
        kube, uid, "".join(f"2026-01-02T03:04:05.{n:09}Z {n} {line}\n" for n in range(2000)), phase="Succeeded"
    )
    await services(api).log_archiver.round()
    del kube.objects[path]
    answer = await admin.get(f"/v1/jobs/{uid}/logs")
    assert told(answer) == (200, "archive", "false")
    lines = answer.text.splitlines()
    assert (lines[0], lines[-1]) == (f"0 {line}", f"1999 {line}")


async def test_a_pod_that_cannot_be_read_keeps_no_other_from_the_archive(
    api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    """As one on a node that is lost, which stays there until somebody removes it."""
    uid = await run(admin, kube, database, "Succeeded")
    stuck = put_pod(kube, uid, stamped("never"), phase="Failed", worker=1, name="a-stuck")
    other = put_pod(kube, uid, stamped("kept"), phase="Succeeded", name="b-other")
    kube.fault_before = lambda request: 500 if request.path == f"{stuck}/log" else None
    archiver = services(api).log_archiver
    assert await archiver.round() == 1
    asked = kube.requests.count(("GET", f"{stuck}/log"))
    assert await archiver.round() == 0
    # Not at each look: that would take as long as a node is silent.
    assert kube.requests.count(("GET", f"{stuck}/log")) == asked
    kube.fault_before = None
    api.clock.offset += timedelta(minutes=2)
    assert await archiver.round() == 1
    for path in (stuck, other):
        del kube.objects[path]
    assert (await admin.get(f"/v1/jobs/{uid}/logs")).text == "kept\n"
    assert (await admin.get(f"/v1/jobs/{uid}/logs", params={"worker": 1})).text == "never\n"


async def test_follow_from_a_time_to_come_says_nothing_older(
    admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    uid = await run(admin, kube, database)
    path = put_pod(kube, uid, stamped("old"))
    query = {"follow": "true", "since": "2026-01-02T03:05:00Z"}
    following = asyncio.create_task(admin.get(f"/v1/jobs/{uid}/logs", params=query))
    for _ in range(2400):
        if kube.requests.count(("GET", f"{path}/log")) > 1:
            break
        await asyncio.sleep(0.05)
    put_pod(kube, uid, stamped("old", "older than asked") + stamped("new", minute=5), phase="Succeeded")
    await turn(kube, database, uid, "Succeeded")
    assert (await asyncio.wait_for(following, 120)).text == "new\n"
