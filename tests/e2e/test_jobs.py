"""A run from the request to the objects: the custom resource, Postgres and REST say the same all the way."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import pytest

from tests.support.kubectl import KubectlError, eventually
from tests.support.release import Release
from tests.support.remote import Remote


def octojob(name: str, provider: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoJob",
        "metadata": {"name": name},
        "spec": {"providerRef": {"name": provider}, **spec},
    }


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"


def sleeper(seconds: int = 600, *, code: int = 0) -> dict[str, Any]:
    """A container provider whose main logic waits, ends well on SIGTERM, and else with ``code``."""
    script = f"trap 'exit 50' TERM; sleep {seconds} & wait $!; exit {code}"
    return {"container": {"image": Remote.image(), "command": ["sh", "-c", script]}}


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] | None = next((c for c in status.get("conditions", ()) if c["type"] == kind), None)
    assert found is not None, f"no condition {kind}"
    return found


# ---- the main job ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("on_error", "state"), [("SkipFile", "Succeeded"), ("FailJob", "Failed")])
def test_good_files_arrive_whole_and_the_tampered_one_never(
    octo: Release, remote: Remote, on_error: str, state: str
) -> None:
    name = unique("mix")
    expected = remote.upload_mix(name)
    remote.provider(octo, name, jobDefaults={"transfer": {"onFileError": on_error}, "retryPolicy": {"maxAttempts": 1}})
    job = octo.post_job(name)
    octo.wait_state(job["name"], state)
    status = octo.assert_agreed(job["name"], job["id"])

    progress = status["progress"]
    assert progress["filesListed"] == expected.files + expected.tampered + expected.signatures
    assert progress["filesSelected"] == expected.files + expected.tampered
    assert progress["filesSkipped"] == expected.signatures
    assert progress["filesDone"] == expected.files
    assert progress["filesFailed"] == expected.tampered
    assert progress["summary"] == f"{expected.files}/{expected.files + expected.tampered}"
    if state == "Failed":
        assert status["failure"]["category"] == "Integrity"
        assert status["failure"]["resolution"]
    else:
        assert condition(status, "Succeeded")["reason"] == "CompletedWithSkips"

    stored = remote.objects(f"{name}/data/")
    assert {key: hashlib.sha256(body).hexdigest() for key, body in stored.items()} == {
        f"{name}/data/{key}": hashlib.sha256(body).hexdigest() for key, body in expected.objects.items()
    }
    assert remote.open_uploads(name) == []

    rows = octo.files(job["id"])
    assert {row["key"]: row["sha256"] for row in rows if row["outcome"] == "Stored"} == {
        key: hashlib.sha256(body).hexdigest() for key, body in stored.items()
    }
    failed = [row for row in rows if row["outcome"] == "Failed"]
    assert len(failed) == expected.tampered
    assert all(row["category"] == "Integrity" and row["message"].startswith("OpenPGP") for row in failed)
    in_postgres = octo.sql(f"SELECT source_path, member, outcome, sha256 FROM job_files WHERE job_uid = '{job['id']}'")
    assert {(r["source_path"], r["member"], r["outcome"], r["sha256"]) for r in in_postgres} == {
        (r["sourcePath"], r["member"], r["outcome"], r.get("sha256")) for r in rows
    }
    manifest = remote.object(status["manifestRef"]["uri"])
    assert hashlib.sha256(manifest).hexdigest() == status["manifestRef"]["sha256"]
    assert len(manifest.splitlines()) == len(rows)


def test_a_second_run_finds_nothing_new(octo: Release, remote: Remote) -> None:
    name = unique("again")
    remote.upload(name, {"one.csv.gz.gpg": b"a,b\n1,2\n" * 1000})
    remote.provider(octo, name)
    first = octo.post_job(name)
    octo.wait_state(first["name"], "Succeeded")
    before = remote.versions(f"{name}/data/")
    second = octo.post_job(name)
    octo.wait_state(second["name"], "Succeeded")
    status = octo.assert_agreed(second["name"], second["id"])
    assert condition(status, "Succeeded")["reason"] == "NoNewFiles"
    assert status["progress"]["filesSelected"] == 0
    assert remote.versions(f"{name}/data/") == before


def test_a_wrong_host_key_is_told_apart_and_not_retried(octo: Release, remote: Remote) -> None:
    name = unique("hostkey")
    remote.upload(name, {"one.csv": b"1\n"})
    remote.provider(octo, name, host_key=remote.other_host_key())
    job = octo.post_job(name)
    octo.wait_state(job["name"], "Failed")
    status = octo.assert_agreed(job["name"], job["id"])
    assert status["failure"]["category"] == "HostKey"
    assert status["attempt"] == 1

    def told() -> bool:
        ready = condition(octo.kubectl.json("get", "octoprovider", name).get("status", {}), "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "HostKey")
        return True

    eventually(told, within=240)


def test_octojob_made_by_kubectl_works_the_same(octo: Release, remote: Remote) -> None:
    name = unique("kubectl")
    remote.upload(name, {"one.csv.gz.gpg": b"a\n1\n", "two.xml.gpg": b"<a/>"})
    remote.provider(octo, name)
    uid = octo.kubectl.create(octojob(name, name))["metadata"]["uid"]
    octo.kubectl("wait", "--for=condition=Finished", f"octojob/{name}", "--timeout=240s", timeout=260)
    status = octo.assert_agreed(name, uid)
    assert status["state"] == "Succeeded"
    assert len(octo.files(uid)) == 2
    meta = octo.octojob(name)["metadata"]
    # The controller holds it until it is archived; a minute later it rests, and lets go of that.
    assert "octo.dev/archive" in meta.get("finalizers", ()) or "octo.dev/archived" in meta.get("labels", {})


def test_a_container_provider_runs_any_image(octo: Release, remote: Remote) -> None:
    name = unique("own")
    script = 'test -s /run/octo/run/run.json && test -s /run/octo/token/token && test "$GREETING" = hello'
    octo.kubectl.apply(
        remote.provider_object(
            name,
            {
                "container": {
                    "image": remote.image(),
                    "command": ["sh", "-c", script],
                    "env": [{"name": "GREETING", "value": "hello"}],
                }
            },
        )
    )
    job = octo.post_job(name)
    octo.wait_state(job["name"], "Succeeded")
    octo.assert_agreed(job["name"], job["id"])


# ---- who may ask, and how often -------------------------------------------------------------------


def test_wrong_expired_and_revoked_keys_get_401_and_nothing_is_created(octo: Release, remote: Remote) -> None:
    name = unique("keys")
    octo.kubectl.apply(remote.provider_object(name, sleeper()))
    made = octo.kubectl(
        *("exec", "deploy/octo-api", "--", "octo-api", "create-key"),
        *("--subject", name, "--scope", "jobs:create", "--namespace", octo.kubectl.namespace),
    ).strip()
    prefix, identifier, _secret = made.split("_", 2)

    def post(key: str | None) -> int:
        return octo.request("POST", "/v1/jobs", key=key, json={"provider": name}).status_code

    def change(assignments: str) -> None:
        octo.execute(f"UPDATE api_keys SET {assignments} WHERE id = '{identifier}'")

    wrong = [None, "nonsense", f"{prefix}_{identifier}_{'A' * 43}", f"{prefix}_{'a' * 12}_{'A' * 43}"]
    assert [post(key) for key in wrong] == [401] * len(wrong)
    change("expires_at = now() - interval '1 s'")
    assert post(made) == 401
    change("expires_at = NULL, revoked_at = now()")
    assert post(made) == 401
    listed = octo.kubectl.json("get", "octojobs")["items"]
    assert [job for job in listed if job["spec"]["providerRef"]["name"] == name] == []
    assert octo.sql(f"SELECT uid FROM jobs WHERE provider = '{name}'") == []

    change("revoked_at = NULL")
    answer = octo.request("POST", "/v1/jobs", key=made, json={"provider": name})
    assert answer.status_code == 202
    assert octo.request("GET", f"/v1/jobs/{answer.json()['id']}", key=made).status_code == 403
    octo.kubectl("delete", "octojob", answer.json()["name"])


def test_one_idempotency_key_is_one_octojob(octo: Release, remote: Remote) -> None:
    name = unique("idem")
    octo.kubectl.apply(remote.provider_object(name, {"container": {"image": remote.image(), "command": ["true"]}}))
    key = {"Idempotency-Key": secrets.token_hex(8)}
    answers = [octo.request("POST", "/v1/jobs", json={"provider": name}, headers=key) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = octo.request("POST", "/v1/jobs", json={"provider": name, "priority": 3}, headers=key)
    assert other.status_code == 422
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["code"] == "idempotency-key-reused"
    job = answers[0].json()
    octo.wait_state(job["name"], "Succeeded")
    octo.assert_agreed(job["name"], job["id"])
    octo.kubectl("delete", "octojob", job["name"], "--timeout=240s")
    late = octo.request("POST", "/v1/jobs", json={"provider": name}, headers=key)
    assert (late.status_code, late.json()["id"]) == (202, job["id"])
    assert not octo.kubectl.exists("octojob", job["name"]), "a late retry must not run the work again"


# ---- one after the other --------------------------------------------------------------------------


def test_a_second_run_waits_for_the_first_and_then_runs(octo: Release, remote: Remote) -> None:
    name = unique("queue")
    octo.kubectl.apply(remote.provider_object(name, sleeper(15)))
    first = octo.post_job(name)
    octo.wait_state(first["name"], "Starting", "Running")
    second = octo.post_job(name)
    raw = octo.wait_state(second["name"], "Queued")
    assert raw["status"]["queuePosition"] == 1
    assert condition(raw["status"], "Admitted")["reason"] == "WaitingForConcurrency"
    octo.assert_agreed(second["name"], second["id"])
    assert not octo.kubectl.exists("jobs", "-l", f"octo.dev/job-name={second['name']}")
    one = octo.wait_state(first["name"], "Succeeded")["status"]
    octo.wait_state(second["name"], "Succeeded")
    two = octo.assert_agreed(second["name"], second["id"])
    assert two["attempts"][0]["startTime"] >= one["completionTime"]


def test_forbid_refuses_a_second_run(octo: Release, remote: Remote) -> None:
    name = unique("forbid")
    octo.kubectl.apply(
        remote.provider_object(name, {**sleeper(), "jobDefaults": {"concurrency": {"policy": "Forbid"}}})
    )
    first = octo.post_job(name)
    octo.wait_state(first["name"], "Starting", "Running")
    second = octo.post_job(name)
    octo.wait_state(second["name"], "Failed")
    status = octo.assert_agreed(second["name"], second["id"])
    assert condition(status, "Succeeded")["reason"] == "ForbiddenByConcurrency"
    octo.kubectl("delete", "octojob", first["name"], "--timeout=240s")


def test_a_run_in_a_queue_of_kueue_starts_when_kueue_says_so_and_survives_an_eviction(
    octo: Release, remote: Remote
) -> None:
    """The test stands in for Kueue, which does no more to a Job than to change ``spec.suspend``."""
    name = unique("kueue")
    defaults = {"queueName": "night", "retryPolicy": {"maxAttempts": 1}}
    octo.kubectl.apply(remote.provider_object(name, {**sleeper(), "jobDefaults": defaults}))
    job = octo.post_job(name)
    child = f"{job['name']}-1"

    def kueue(suspend: str) -> None:
        octo.kubectl("patch", "job", child, "--type=merge", "-p", f'{{"spec":{{"suspend":{suspend}}}}}')

    waiting = octo.wait_state(job["name"], "Queued")
    assert condition(waiting["status"], "Admitted")["reason"] == "WaitingForQueue"
    held = octo.kubectl.json("get", "job", child)
    assert held["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "night"
    assert held["spec"]["suspend"] is True
    assert octo.pods_of(job["name"]) == []
    kueue("false")
    octo.wait_state(job["name"], "Running")
    kueue("true")
    evicted = octo.wait_state(job["name"], "Queued")
    assert [attempt.get("category") for attempt in evicted["status"]["attempts"]] == [None]
    kueue("false")
    octo.wait_state(job["name"], "Running")
    octo.request("POST", f"/v1/jobs/{job['id']}:cancel", json={"mode": "Force"})
    octo.wait_state(job["name"], "Cancelled")
    assert octo.assert_agreed(job["name"], job["id"])["attempt"] == 1


# ---- ends that are not successes ------------------------------------------------------------------


def test_cancel_ends_the_pod_and_the_run(octo: Release, remote: Remote) -> None:
    name = unique("cancel")
    octo.kubectl.apply(remote.provider_object(name, sleeper()))
    job = octo.post_job(name)
    octo.wait_state(job["name"], "Running")
    answer = octo.request("POST", f"/v1/jobs/{job['id']}:cancel", json={"reason": "not today"})
    assert answer.status_code == 202, answer.text
    raw = octo.wait_state(job["name"], "Cancelled", within=240)
    assert octo.pods_of(job["name"]) == []
    assert not octo.kubectl.exists("jobs", "-l", f"octo.dev/job-name={job['name']}")
    status = octo.assert_agreed(job["name"], job["id"])
    assert "not today" in condition(status, "Succeeded")["message"]
    assert raw["spec"]["cancel"]["requestedBy"]
    again = octo.request("POST", f"/v1/jobs/{job['id']}:cancel", json={})
    assert again.status_code in (202, 409)


def test_a_missing_provider_is_named_and_the_run_goes_on_when_it_comes(octo: Release, remote: Remote) -> None:
    name = unique("missing")
    assert octo.request("POST", "/v1/jobs", json={"provider": name}).status_code == 404
    uid = octo.kubectl.create(octojob(name, name))["metadata"]["uid"]

    def accepted() -> dict[str, Any] | None:
        status = octo.octojob(name).get("status", {})
        return condition(status, "Accepted") if status.get("conditions") else None

    told = eventually(accepted)
    assert told is not None
    assert (told["status"], told["reason"]) == ("False", "ProviderNotFound")
    assert name in told["message"]
    octo.assert_agreed(name, uid)
    octo.kubectl.apply(remote.provider_object(name, {"container": {"image": remote.image(), "command": ["true"]}}))
    octo.wait_state(name, "Succeeded")


def test_a_failed_attempt_is_retried_by_category_and_then_given_up(octo: Release, remote: Remote) -> None:
    name = unique("retry")
    spec = {
        "container": {"image": remote.image(), "command": ["sh", "-c", "exit 20"]},
        "jobDefaults": {"retryPolicy": {"maxAttempts": 2, "backoffSeconds": 1}},
    }
    octo.kubectl.apply(remote.provider_object(name, spec))
    job = octo.post_job(name)
    octo.wait_state(job["name"], "Failed")
    status = octo.assert_agreed(job["name"], job["id"])
    assert [(a["number"], a["exitCode"], a["category"]) for a in status["attempts"]] == [
        (1, 20, "RemoteUnavailable"),
        (2, 20, "RemoteUnavailable"),
    ]
    assert status["failure"]["category"] == "RemoteUnavailable"
    jobs = octo.kubectl.json("get", "jobs", "-l", f"octo.dev/job-name={job['name']}")["items"]
    assert sorted(item["metadata"]["uid"] for item in jobs) == sorted(a["jobUID"] for a in status["attempts"])


def test_deleting_a_running_octojob_stops_its_pod_and_keeps_its_history(octo: Release, remote: Remote) -> None:
    name = unique("delete")
    octo.kubectl.apply(remote.provider_object(name, sleeper()))
    job = octo.post_job(name)
    octo.wait_state(job["name"], "Running")
    octo.kubectl("delete", "octojob", job["name"], "--timeout=240s", timeout=260)
    assert octo.pods_of(job["name"]) == []

    def history() -> dict[str, Any]:
        row = octo.row(job["id"])
        assert row["deleted_at"]
        return row

    row = eventually(history)
    assert row["state"] == "Cancelled"
    rest = octo.job(job["id"])
    assert (rest["state"], bool(rest["deletedAt"])) == ("Cancelled", True)
    sequence = octo.sql(f"SELECT seq, type FROM events WHERE job_uid = '{job['id']}' ORDER BY seq")
    assert [event["seq"] for event in sequence] == list(range(1, len(sequence) + 1))
    assert sequence[-1]["type"] == "job.deleted"


def test_the_controller_cannot_read_secrets_and_the_worker_nothing(octo: Release) -> None:
    account = f"system:serviceaccount:{octo.kubectl.namespace}"
    for who, verb, what in (
        ("octo-controller", "get", "secrets"),
        ("octo-api", "get", "secrets"),
        ("octo-worker", "get", "pods"),
        ("octo-worker", "get", "octojobs"),
        ("octo-worker", "get", "secrets"),
    ):
        with pytest.raises(KubectlError):
            octo.kubectl("auth", "can-i", verb, what, f"--as={account}:{who}")
