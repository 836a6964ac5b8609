"""What may change of an OctoJob once it is made, as the API server decides it by the one rule of its definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from octo_core.crd.definitions import job_changes
from octo_core.domain.job import OctoJobSpec
from tests.support.control_plane import ControlPlane
from tests.support.kubectl import Kubectl, KubectlError

NAMESPACE = "octo-immutable"
FIRST: dict[str, Any] = {
    "providerRef": {"name": "bank"},
    "parameters": {"day": "1"},
    "selection": {"policy": "All", "paths": ["/a"]},
    "retryPolicy": {"maxAttempts": 2},
    "activeDeadlineSeconds": 60,
}
OTHER: dict[str, Any] = {
    "activeDeadlineSeconds": 61,
    "attemptDeadlineSeconds": 50,
    "concurrency": {"policy": "Forbid"},
    "idempotency": {"keyHash": "a" * 64, "fingerprint": "b" * 64},
    "mode": "Verify",
    "parameters": {"day": "2"},
    "pendingDeadlineSeconds": 50,
    "providerRef": {"name": "other"},
    "queueName": "night",
    "requestedBy": "someone",
    "rerunOf": {"name": "earlier", "uid": "u"},
    "retryPolicy": {"maxAttempts": 3},
    "scheduleRef": {"name": "bank", "scheduledTime": "2026-01-01T00:00:00Z"},
    "selection": {"paths": ["/b"]},
    "startAfter": "2027-01-01T00:00:00Z",
    "terminationGracePeriodSeconds": 9,
    "transfer": {"parallelism": 2},
}


@pytest.fixture(scope="module")
def kubectl(bare_control_plane: ControlPlane) -> Iterator[Kubectl]:
    bare_control_plane.kubectl("default")("create", "namespace", NAMESPACE)
    yield bare_control_plane.kubectl(NAMESPACE)
    bare_control_plane.kubectl("default")("delete", "namespace", NAMESPACE, "--wait=false")


def patched(kubectl: Kubectl, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    kubectl("patch", "octojob", name, "--type=merge", "-p", json.dumps({"spec": spec}))
    found: dict[str, Any] = kubectl.json("get", "octojob", name)
    return found


def make(kubectl: Kubectl, name: str) -> None:
    kubectl.create({"apiVersion": "octo.dev/v1alpha1", "kind": "OctoJob", "metadata": {"name": name}, "spec": FIRST})


def test_what_defines_a_run_stays_and_a_refusal_names_the_field(kubectl: Kubectl) -> None:
    make(kubectl, "fixed")
    fields = {field.alias or name for name, field in OctoJobSpec.model_fields.items()}
    assert OTHER.keys() == fields - {"suspend", "priority", "ttl", "cancel"}
    for field, value in OTHER.items():
        with pytest.raises(KubectlError, match=f"{field} is immutable: make a new OctoJob"):
            patched(kubectl, "fixed", {field: value})
    for field in FIRST.keys() - {"providerRef"}:
        with pytest.raises(KubectlError, match=f"{field} is immutable: make a new OctoJob"):
            patched(kubectl, "fixed", {field: None})
    assert kubectl.json("get", "octojob", "fixed")["spec"] == FIRST


def test_what_may_change_does_and_a_cancel_only_goes_on(kubectl: Kubectl) -> None:
    make(kubectl, "changed")
    patched(kubectl, "changed", {"suspend": True, "priority": 5, "ttl": {"afterSuccessSeconds": 9}})
    patched(kubectl, "changed", {"cancel": {"requestedAt": "2026-01-02T03:04:05Z", "reason": "enough"}})
    patched(kubectl, "changed", {"cancel": {"mode": "Force"}, "priority": None})
    for refused, why in (
        (None, "a cancel cannot be withdrawn or moved"),
        ({"requestedAt": "2027-01-02T03:04:05Z"}, "a cancel cannot be withdrawn or moved"),
        ({"mode": "Graceful"}, "cancel.mode may go from Graceful to Force only"),
        ({"mode": None}, "cancel.mode may go from Graceful to Force only"),
    ):
        with pytest.raises(KubectlError, match=why):
            patched(kubectl, "changed", {"cancel": refused})
    status = {"status": {"state": "Cancelling"}}
    kubectl("patch", "octojob", "changed", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    assert kubectl.json("get", "octojob", "changed")["status"]["state"] == "Cancelling"


def test_each_rule_has_words_that_can_stand_in_the_definition() -> None:
    assert all("'" not in message for _, message in job_changes())
