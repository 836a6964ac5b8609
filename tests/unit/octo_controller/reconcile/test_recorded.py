"""The diagnosis of pods that failed on a real cluster (``tests.support.recordings`` recorded them)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from octo_controller.reconcile.ending import classify
from octo_controller.reconcile.model import JobView, Pods
from octo_controller.reconcile.pending import why_pending
from octo_controller.reconcile.views import job_view, pod_view
from octo_core.domain.causes import CAUSES

Raw = dict[str, Any]
RECORDED = Path(__file__).parent / "recorded"

PENDING = {
    "image-pull": ("ImagePullError", "registry.invalid"),
    "image-not-present": ("ImageNotPresent", "registry.invalid"),
    "image-name": ("InvalidImageName", "Not:An:Image"),
    "secret-volume": ("SecretMissing", '"none"'),
    "secret-key": ("SecretMissing", "old"),
    "config-map-volume": ("ConfigMapMissing", '"none"'),
    "secret-variable": ("SecretMissing", '"none"'),
    "config-map-variable": ("ConfigMapMissing", '"none"'),
    "node-selector": ("Unschedulable", "nodes are available"),
    "too-big": ("Unschedulable", "Insufficient cpu"),
    "account": ("ServiceAccountMissing", '"none"'),
    "quota": ("QuotaExceeded", "exceeded quota"),
    "pod-security": ("PodSecurityViolation", "restricted"),
}
"""Reason of the wait by case, and what its message must name."""

ENDED = {
    "no-program": "StartError",
    "out-of-memory": "OOMKilled",
    "volume-full": "Evicted",
    "deadline": "DeadlineExceeded",
    # By then the pods are gone, and the Job says no more than that it failed.
    "deleted": "PodLost",
    "drained": "PodLost",
}


def recorded(case: str) -> tuple[JobView, Pods]:
    """The Job and its pods, with the warnings that the controller looks up."""
    found: Raw = json.loads((RECORDED / f"{case}.json").read_text())
    said: dict[str, list[str]] = {}
    for event in sorted(found["events"], key=lambda raw: raw.get("lastTimestamp") or raw.get("eventTime") or ""):
        said.setdefault(event["involvedObject"]["name"], []).append(event["message"])
    job = found["job"]["metadata"]["name"]
    pods = (pod_view(raw, warnings=said.get(raw["metadata"]["name"], ())) for raw in found["pods"])
    return job_view(found["job"]), Pods(tuple(pods), tuple(said.get(job, ())))


@pytest.mark.parametrize("case", PENDING)
def test_why_a_pod_does_not_start(case: str) -> None:
    why = why_pending(*recorded(case))
    reason, named = PENDING[case]
    assert why.reason == reason
    assert why.category is CAUSES[reason].category
    assert named in why.message


@pytest.mark.parametrize("case", ENDED)
def test_how_an_attempt_ended(case: str) -> None:
    job, pods = recorded(case)
    verdict = classify(job, pods, asked=False)
    assert (verdict.reason, verdict.category) == (ENDED[case], CAUSES[ENDED[case]].category)
    assert verdict.message


def test_every_recording_has_its_place() -> None:
    assert {path.stem for path in RECORDED.glob("*.json")} == {*PENDING, *ENDED}
