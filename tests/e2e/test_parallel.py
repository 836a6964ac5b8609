"""Several workers share one run: no file twice, none missed, one status and one manifest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import pytest

from octo_core.domain.shard import shard_of
from tests.e2e.test_jobs import condition, unique
from tests.support.kubectl import eventually
from tests.support.release import Release
from tests.support.remote import Remote

WORKERS = 3
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"


def samples(count: int) -> dict[str, bytes]:
    return {f"day{n % 4}/file-{n}.csv.gz.gpg": b"id,n\n" + b"%d,1\n" % n * 1000 for n in range(count)}


def child(octo: Release, name: str) -> dict[str, Any]:
    found: dict[str, Any] = octo.kubectl.json("get", "job", f"{name}-1")
    return found


def rows_of(manifest: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in manifest.splitlines()]


def own(octo: Release, remote: Remote, name: str, script: str, **spec: Any) -> str:
    """A run of a container of one's own that three workers share."""
    container = {"image": Remote.image(), "command": ["sh", "-c", script]}
    octo.kubectl.apply(remote.provider_object(name, {"container": container}))
    retry = {"maxAttempts": 1}
    return str(octo.post_job(name, transfer={"parallelism": WORKERS}, retryPolicy=retry, **spec)["name"])


def test_every_file_is_stored_once_and_all_is_told_as_of_one_run(octo: Release, remote: Remote) -> None:
    name, files = unique("shared"), samples(30)
    remote.upload(name, files)
    remote.provider(octo, name, jobDefaults={"transfer": {"parallelism": WORKERS}})
    job = octo.post_job(name)
    octo.wait_state(job["name"], "Succeeded", within=240)
    status = octo.assert_agreed(job["name"], job["id"])

    spec = child(octo, job["name"])["spec"]
    assert (spec["completionMode"], spec["completions"]) == ("Indexed", WORKERS)
    progress = status["progress"]
    assert (progress["filesListed"], progress["summary"]) == (30, "30/30")
    assert remote.digests(f"{name}/data/") == {
        f"{name}/data/csv/{path.removesuffix('.gz.gpg')}": hashlib.sha256(body).hexdigest()
        for path, body in files.items()
    }
    assert remote.open_uploads(name) == []

    rows = octo.files(job["id"])
    assert Counter(row["sourcePath"] for row in rows) == Counter(f"/data/{name}/{path}" for path in files)
    assert {row["outcome"] for row in rows} == {"Stored"}
    manifest = remote.object(status["manifestRef"]["uri"])
    assert status["manifestRef"]["uri"].endswith(f"{name}/manifests/{job['name']}/1.jsonl")
    assert hashlib.sha256(manifest).hexdigest() == status["manifestRef"]["sha256"]
    assert {row["sourcePath"]: row["sha256"] for row in rows_of(manifest)} == {
        row["sourcePath"]: row["sha256"] for row in rows
    }
    assert len(rows_of(manifest)) == len(rows)
    folder = f"{name}/manifests/{job['name']}/1/"
    parts = remote.objects(folder)
    assert set(parts) == {f"{folder}{index}.jsonl" for index in range(WORKERS)}
    for index in range(WORKERS):
        paths = [row["sourcePath"] for row in rows_of(parts[f"{folder}{index}.jsonl"])]
        assert paths
        assert {shard_of(path, WORKERS) for path in paths} == {index}

    before = remote.versions(f"{name}/data/")
    again = octo.post_job(name, transfer={"parallelism": 2})
    octo.wait_state(again["name"], "Succeeded")
    status = octo.assert_agreed(again["name"], again["id"])
    assert condition(status, "Succeeded")["reason"] == "NoNewFiles"
    assert (status["progress"]["filesListed"], status["progress"]["filesSelected"]) == (30, 0)
    assert remote.versions(f"{name}/data/") == before


@pytest.mark.parametrize(("on_error", "state"), [("SkipFile", "Succeeded"), ("FailJob", "Failed")])
def test_a_bad_file_is_one_workers_matter(octo: Release, remote: Remote, on_error: str, state: str) -> None:
    name, files = unique("onebad"), samples(15)
    remote.upload(name, files)
    bad = bytearray(remote.encode("bad.csv.gz.gpg", b"1\n" * 50_000))
    bad[-40] ^= 1  # in what is protected; before it lies the session key
    remote.upload_raw(name, {"bad.csv.gz.gpg": bytes(bad)})
    remote.provider(octo, name, jobDefaults={"retryPolicy": {"maxAttempts": 1}})
    job = octo.post_job(name, transfer={"parallelism": WORKERS, "onFileError": on_error})
    octo.wait_state(job["name"], state, within=240)
    status = octo.assert_agreed(job["name"], job["id"])
    owner = shard_of(f"/data/{name}/bad.csv.gz.gpg", WORKERS)
    told = condition(status, "Succeeded")
    assert told["message"].startswith(f"worker {owner + 1} of {WORKERS}: 1 of ")
    assert "bad.csv.gz.gpg" in told["message"]
    if state == "Failed":
        assert status["failure"]["category"] == "Integrity"
        assert status["attempts"][0]["podName"].startswith(f"{job['name']}-1-{owner}-")
        assert child(octo, job["name"])["status"]["failedIndexes"] == str(owner)
    else:
        assert told["reason"] == "CompletedWithSkips"
    assert (status["progress"]["summary"], status["progress"]["filesFailed"]) == ("15/16", 1)
    assert len(remote.versions(f"{name}/data/")) == 15
    assert len(rows_of(remote.object(status["manifestRef"]["uri"]))) == 16


def test_one_that_fails_at_once_leaves_the_others_to_their_end(octo: Release, remote: Remote) -> None:
    name = unique("onefails")
    job = own(octo, remote, name, '[ "$JOB_COMPLETION_INDEX" != 1 ] || exit 34; sleep 10')
    octo.wait_state(job, "Running")
    status = octo.wait_state(job, "Failed")["status"]
    attempt = status["attempts"][0]
    assert (attempt["category"], attempt["exitCode"]) == ("Integrity", 34)
    assert attempt["podName"].startswith(f"{job}-1-1-")
    assert attempt["message"].startswith("worker 2 of 3: ")
    indexes = child(octo, job)["status"]
    assert (indexes["completedIndexes"], indexes["failedIndexes"]) == ("0,2", "1")


def test_a_worker_whose_node_is_drained_is_made_again_in_the_same_attempt(octo: Release, remote: Remote) -> None:
    name = unique("drained")
    job = own(octo, remote, name, "trap 'exit 50' TERM; sleep 25 & wait $!; exit 0")
    octo.wait_state(job, "Running")
    selector = f"octo.dev/job-name={job},{INDEX_LABEL}=1"

    def the_second() -> str:
        pods = octo.kubectl.json("get", "pods", "-l", selector, "--field-selector=status.phase=Running")["items"]
        assert len(pods) == 1
        return str(pods[0]["metadata"]["name"])

    first = eventually(the_second)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first}}
    path = f"/api/v1/namespaces/{octo.kubectl.namespace}/pods/{first}/eviction"
    octo.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))

    def another() -> bool:
        return the_second() != first

    eventually(another)
    status = octo.wait_state(job, "Succeeded")["status"]
    assert len(status["attempts"]) == 1


def test_a_key_that_is_not_there_is_named(octo: Release, remote: Remote) -> None:
    name = unique("nokey")
    secret = {"name": "remote-openpgp"}
    openpgp = {
        "keySecretRef": {**secret, "key": "privateKey"},
        "additionalKeys": [{"keySecretRef": {"name": f"{name}-old", "key": "privateKey"}}],
    }
    remote.provider(octo, name, decrypt={"openpgp": openpgp})
    job = octo.post_job(name, transfer={"parallelism": 2}, pendingDeadlineSeconds=90)

    def told() -> dict[str, Any]:
        found = condition(octo.octojob(job["name"]).get("status", {}), "Running")
        assert found["reason"] == "SecretMissing"
        return found

    assert f"{name}-old" in eventually(told)["message"]
    octo.kubectl("delete", "octojob", job["name"], "--timeout=240s", timeout=260)
