"""What a person sees of a run that failed or does not start, with the rights that the chart gives."""

from __future__ import annotations

import secrets
from typing import Any

from tests.support.kubectl import eventually
from tests.support.release import Release, image_tag


def make(octo: Release, container: dict[str, Any], **spec: Any) -> str:
    """A provider of that container, and a run of it; the name of both."""
    name = f"diagnosis-{secrets.token_hex(3)}"
    octo.kubectl.apply(
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoProvider",
            "metadata": {"name": name},
            "spec": {"container": container},
        },
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoJob",
            "metadata": {"name": name},
            "spec": {"providerRef": {"name": name}, **spec},
        },
    )
    return name


def test_the_log_and_the_reason_of_a_failure_are_kept(octo: Release) -> None:
    script = "echo first; echo the last line; exit 30"
    name = make(octo, {"image": f"octo/demo:{image_tag()}", "command": ["sh", "-c", script]})
    status = octo.wait_state(name, "Failed", within=240)["status"]
    assert status["attempts"][0]["logTail"] == "first\nthe last line"
    assert (status["failure"]["category"], status["failure"]["exitCode"]) == ("Auth", 30)

    def described() -> str:
        shown = octo.kubectl("describe", "octojob", name)
        events = shown.rpartition("\nEvents:")[2]
        assert "Failed" in events, shown
        return events

    assert "octo.dev/controller" in eventually(described, within=240, what="the Event")


def test_a_run_that_does_not_start_says_why(octo: Release) -> None:
    variable = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "not-there", "key": "k"}}}
    container = {"image": f"octo/demo:{image_tag()}", "command": ["true"], "env": [variable]}
    name = make(octo, container, pendingDeadlineSeconds=20, retryPolicy={"maxAttempts": 1})
    failure = octo.wait_state(name, "Failed", within=240)["status"]["failure"]
    assert (failure["category"], failure["reason"]) == ("Config", "PendingDeadlineExceeded")
    assert failure["message"].startswith("SecretMissing: ")
    assert "not-there" in failure["message"]
    assert "Make the Secret" in failure["resolution"]
