"""Any process may be killed at any moment: nothing lost, nothing doubled, nothing stuck."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.kubectl import eventually
from tests.support.release import Release, sigkill
from tests.support.remote import Remote

FILES = 8
SIZE = 48 << 20


@contextmanager
def under_way(octo: Release, remote: Remote, what: str) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """A run after its first object and before its last, which gets no further until the end of the block.

    Yields the provider, the job, and the stored objects with their versions at that moment.
    """
    name = f"{what}-{secrets.token_hex(3)}"
    remote.upload_random(name, files=FILES, size=SIZE)
    remote.provider(
        octo,
        name,
        jobDefaults={
            "transfer": {"concurrentFiles": 1},
            "retryPolicy": {"maxAttempts": 3, "backoffSeconds": 1},
        },
    )
    job = octo.post_job(name)
    eventually(lambda: remote.versions(f"{name}/data/"), within=240, every=0.2, what="the first object")
    with remote.frozen():
        early = remote.versions(f"{name}/data/")
        # One file more may have been read to its end before.
        assert len(early) < FILES - 1, "the run was over before the fault; make it longer"
        yield name, job, early


def assert_each_object_once(
    octo: Release, remote: Remote, name: str, job: dict[str, str], early: dict[str, str]
) -> dict[str, Any]:
    octo.wait_state(job["name"], "Succeeded", within=240)
    status = octo.assert_agreed(job["name"], job["id"], within=240)
    stored = remote.versions(f"{name}/data/")
    assert len(stored) == FILES
    assert {key: stored[key] for key in early} == early, "an object was written twice"
    assert remote.digests(f"{name}/data/") == remote.random_digests(name)
    rows = octo.files(job["id"])
    assert Counter(row["sourcePath"] for row in rows) == Counter(remote.random_paths(name))
    jobs = octo.kubectl.json("get", "jobs", "-l", f"octo.dev/job-name={job['name']}")["items"]
    assert {item["metadata"]["uid"] for item in jobs} <= {a["jobUID"] for a in status["attempts"]}
    return status


def test_controller_killed_mid_run(octo: Release, remote: Remote) -> None:
    with under_way(octo, remote, "kill-controller") as (name, job, early):
        octo.kill("controller")
    status = assert_each_object_once(octo, remote, name, job, early)
    assert status["attempt"] == 1, "a restart of the controller must not touch the run"
    assert remote.open_uploads(name) == []


def test_api_killed_mid_run(octo: Release, remote: Remote) -> None:
    with under_way(octo, remote, "kill-api") as (name, job, early):
        octo.kill("api")
    status = assert_each_object_once(octo, remote, name, job, early)
    assert status["attempt"] == 1


def test_worker_pod_killed_mid_run(octo: Release, remote: Remote) -> None:
    with under_way(octo, remote, "kill-worker") as (name, job, early):
        octo.kubectl("delete", "pod", "-l", f"octo.dev/job-name={job['name']}", "--grace-period=0", "--force")
    status = assert_each_object_once(octo, remote, name, job, early)
    assert status["attempt"] == 2


def test_worker_process_killed_mid_run(octo: Release, remote: Remote) -> None:
    with under_way(octo, remote, "sigkill") as (name, job, early):
        if not sigkill(octo.pods_of(job["name"]), "octo-worker"):
            pytest.skip("the pod's processes are not this machine's: the cluster is not the project's own")
    status = assert_each_object_once(octo, remote, name, job, early)
    first = status["attempts"][0]
    assert (first["exitCode"], status["attempt"]) == (137, 2)


def test_postgres_away_for_the_length_of_a_run(octo: Release, remote: Remote) -> None:
    with under_way(octo, remote, "no-postgres") as (name, job, _):
        octo.kubectl("scale", "statefulset/octo-postgres", "--replicas=0")
        octo.kubectl("wait", "--for=delete", "pod/octo-postgres-0", "--timeout=240s")
    try:
        other = f"{name}-kubectl"
        uid = octo.kubectl.create(
            {
                "apiVersion": "octo.dev/v1alpha1",
                "kind": "OctoJob",
                "metadata": {"name": other},
                "spec": {"providerRef": {"name": name}},
            }
        )["metadata"]["uid"]
        octo.wait_state(job["name"], "Succeeded", within=240)
        octo.wait_state(other, "Succeeded", within=240)
        refused = octo.request("GET", f"/v1/jobs/{job['id']}")
        assert (refused.status_code, refused.json()["retryable"]) == (503, True)
    finally:
        octo.kubectl("scale", "statefulset/octo-postgres", "--replicas=1")
        octo.kubectl("rollout", "status", "statefulset/octo-postgres", "--timeout=240s")
    octo.assert_agreed(job["name"], job["id"], within=240)
    octo.assert_agreed(other, uid, within=240)
    assert len(remote.versions(f"{name}/data/")) == FILES
