"""``kubectl octo``: a real API server, and nothing of Octo but its custom resources."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cli import Cli, Done
from tests.support.control_plane import ControlPlane
from tests.support.kubectl import Kubectl, environment

PROVIDER = {
    "apiVersion": "octo.dev/v1alpha1",
    "kind": "OctoProvider",
    "metadata": {"name": "acme"},
    "spec": {"container": {"image": "x:1"}, "schedule": {"cron": "0 6 * * *", "timeZone": "UTC"}},
}
FAILURE = {
    "category": "Auth",
    "reason": "LoginRefused",
    "message": "no such user",
    "resolution": "Check the Secret.",
    "retryable": False,
}
TIMES = {"startTime": "2026-01-02T03:05:05Z", "completionTime": "2026-01-02T03:15:05Z"}


@pytest.fixture
def kubectl(bare_control_plane: ControlPlane) -> Iterator[Kubectl]:
    namespace = f"cli-{secrets.token_hex(4)}"
    kubectl = bare_control_plane.kubectl(namespace)
    kubectl("create", "namespace", namespace)
    kubectl.apply(PROVIDER)
    yield kubectl
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def octo(kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """As kubectl would call it."""
    monkeypatch.setenv("KUBECONFIG", str(kubectl.kubeconfig))
    return Cli(tmp_path, monkeypatch, "-n", kubectl.namespace, plugin=True)


def told(kubectl: Kubectl, name: str, **status: Any) -> None:
    """The controller says this of a run."""
    body = json.dumps({"status": status})
    kubectl("patch", "octojob", name, "--subresource=status", "--type=merge", "-p", body)


def succeeded(status: str, reason: str) -> dict[str, str]:
    return {"type": "Succeeded", "status": status, "reason": reason, "lastTransitionTime": "2026-01-02T03:15:05Z"}


def test_a_run_from_the_request_to_its_end(octo: Cli, kubectl: Kubectl) -> None:
    asked = octo("run", "acme", "-p", "day=1", "-l", "team=fx", "--idempotency-key", "monday", "-o", "json")
    assert asked.code == 0, asked
    job = asked.json
    assert (job["state"], job["provider"], job["spec"]["parameters"]) == ("Pending", "acme", {"day": "1"})
    again = octo("run", "acme", "-p", "day=1", "-l", "team=fx", "--idempotency-key", "monday", "-o", "name")
    assert again.out.strip() == job["name"]
    other = octo("run", "acme", "--idempotency-key", "monday")
    assert (other.code, "another run" in other.err) == (8, True), other

    second = octo("run", "acme", "-o", "name").out.strip()
    assert second.startswith("acme-")
    assert {row[0] for row in octo("ls").rows} == {job["name"], second}
    assert [row[0] for row in octo("ls", "-l", "team=fx").rows] == [job["name"]]
    assert octo("explain", second).out.splitlines()[2].strip() == "The controller has not looked at it yet."

    attempt = {**TIMES, "number": 1, "category": "Auth", "message": "no such user", "logTail": "one\ntwo"}
    told(
        kubectl,
        job["name"],
        state="Failed",
        attempt=1,
        attempts=[attempt],
        failure=FAILURE,
        conditions=[succeeded("False", "LoginRefused")],
        progress={"summary": "1/3", "filesSelected": 3, "filesDone": 1},
        **TIMES,
    )
    for reference in (job["name"], job["id"]):
        shown = yaml.safe_load(octo("get", reference, "-o", "yaml").out)
        assert (shown["state"], shown["reason"], shown["attempts"][0]["number"]) == ("Failed", "LoginRefused", 1)
    for arguments, found in ((("--state", "failed"), 1), (("--failure", "Auth"), 1), (("--failure", "Config"), 0)):
        assert len(octo("ls", "-o", "json", *arguments).json["items"]) == found, arguments
    waited = octo("get", job["name"], "--wait")
    assert (waited.code, "Check the Secret." in waited.err) == (1, True), waited
    why = octo("explain", job["name"]).out
    assert "Auth: no such user." in why
    assert "- Check the Secret." in why
    for follow in ((), ("-f",)):
        assert octo("logs", job["name"], *follow).out == "one\ntwo\n", "the pod is gone, its last lines are not"

    assert octo("cancel", job["name"]).code == 8
    rerun = octo("rerun", job["name"], "-o", "json")
    assert (rerun.json["rerunOf"], rerun.json["labels"]["team"]) == (job["id"], "fx")
    assert octo("rerun", second).code == 8
    cancelled = octo("cancel", second, "--reason", "not today", "-o", "json").json
    assert cancelled["spec"]["cancel"]["mode"] == "Graceful"
    forced = octo("cancel", second, "--force", "-o", "json").json["spec"]["cancel"]
    assert (forced["mode"], forced["reason"]) == ("Force", "not today")
    told(kubectl, second, state="Cancelled", conditions=[succeeded("False", "Cancelled")], **TIMES)
    assert octo("get", second, "--wait").code == 6


def test_providers_and_schedules(octo: Cli, kubectl: Kubectl) -> None:
    # One with all that the controller says of it, and one that it has not looked at.
    kubectl.apply({**PROVIDER, "metadata": {"name": "seen"}})
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "2026-01-02T03:15:05Z"}
    schedule = {"cron": "0 6 * * *", "timeZone": "UTC", "lastScheduleTime": "2026-01-02T06:00:00Z"}
    body = json.dumps({"status": {"conditions": [ready], "schedule": schedule, "lastJob": "night"}})
    kubectl("patch", "octoprovider", "seen", "--subresource=status", "--type=merge", "-p", body)
    rows = {row[0]: row for row in octo("providers", "ls").rows}
    assert (rows["acme"][1:3], rows["seen"][1:3]) == (["container", "-"], ["container", "True"])
    assert octo("providers", "get", "acme", "-o", "json").json["spec"]["container"]["image"] == "x:1"
    assert {row[0] for row in octo("schedules", "ls").rows} == {"acme", "seen"}
    assert len(octo("schedules", "next", "acme", "--count", "3").rows) == 3


def test_what_is_not_there(octo: Cli, kubectl: Kubectl, tmp_path: Path) -> None:
    def refused(done: Done, code: int, words: str) -> None:
        assert (done.code, done.out) == (code, ""), done
        assert words in done.err, done

    refused(octo("get", "none"), 3, "not found")
    refused(octo("get", "0b0e7a3c-0000-4000-8000-000000000001"), 3, "the cluster has no run")
    refused(octo("providers", "get", "none"), 3, "not found")
    refused(octo("run", "acme", "--priority", "100000"), 2, "spec.priority")
    name = octo("run", "acme", "-o", "name").out.strip()
    for arguments in (
        ("files", name),
        ("rerun", name, "--failed"),
        ("providers", "verify", "acme"),
        ("providers", "ledger", "acme"),
        ("schedules", "trigger", "acme"),
        ("keys", "ls"),
        ("audit",),
    ):
        refused(octo(*arguments), 2, "over the cluster's API alone")
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = "nobody"
    (tmp_path / "nobody").write_text(yaml.safe_dump(config))
    refused(octo("--kubeconfig", str(tmp_path / "nobody"), "ls"), 4, "Unauthorized")
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "away").write_text(yaml.safe_dump(config))
    refused(octo("--kubeconfig", str(tmp_path / "away"), "ls"), 5, "does not answer")
    refused(octo("--context", "none", "ls"), 2, "Context 'none' not found")


def test_kubectl_finds_it(octo: Cli, kubectl: Kubectl) -> None:
    name = octo("run", "acme", "-o", "name").out.strip()
    found = environment(kubectl.kubeconfig)
    found["PATH"] = f"{Path(sys.executable).parent}:{found['PATH']}"
    done = subprocess.run(
        ["kubectl", "octo", "get", name, "-n", kubectl.namespace, "-o", "name"],
        env=found,
        capture_output=True,
        text=True,
        check=False,
        cwd=os.sep,
    )
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done
