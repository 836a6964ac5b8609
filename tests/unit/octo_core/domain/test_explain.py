"""Explanations: a sentence and a way out for each state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from octo_core.domain.explain import ClusterView, Explanation, explain
from octo_core.domain.names import LABEL_ATTEMPT
from octo_core.domain.status import State
from tests.unit.octo_api.jobs.test_rerun import ENDED, NOW


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-02T00:05:00Z",
    }


ACCEPTED = condition("Accepted", "True", "Accepted")


def explained(
    state: State, *conditions: dict[str, str], pods: Any = (), events: Any = (), **status: Any
) -> Explanation:
    record = replace(
        ENDED,
        state=state.value,
        status={"conditions": list(conditions), **status},
        finished_at=NOW if state.terminal else None,
    )
    return explain(record, ClusterView.LIVE, pods, events, now=NOW + timedelta(minutes=10))


CASES: list[tuple[State, tuple[dict[str, str], ...], dict[str, Any], str, str]] = [
    (State.PENDING, (), {}, "The controller has not looked at it yet.", "controller"),
    (
        State.PENDING,
        (condition("Accepted", "False", "ProviderNotFound", "there is no OctoProvider 'acme'"),),
        {},
        "There is no OctoProvider 'acme'.",
        "OctoProvider",
    ),
    (
        State.PENDING,
        (ACCEPTED, condition("Admitted", "False", "StartAfter", "not before tomorrow")),
        {},
        "Not before tomorrow.",
        "Wait",
    ),
    (
        State.QUEUED,
        (ACCEPTED, condition("Admitted", "False", "WaitingForConcurrency", "behind night-2")),
        {"queuePosition": 3},
        "It waits for its turn at place 3: behind night-2.",
        "priority",
    ),
    (State.SUSPENDED, (ACCEPTED,), {}, "It is held by spec.suspend.", "suspend"),
    (
        State.STARTING,
        (ACCEPTED, condition("Running", "False", "SecretMissing", "secret sftp is missing")),
        {},
        "Secret sftp is missing.",
        "Correct",
    ),
    (
        State.RUNNING,
        (condition("Stalled", "True", "NoHeartbeat", "no progress for 600 s"),),
        {},
        "No progress for 600 s.",
        "log",
    ),
    (State.RUNNING, (), {"progress": {"summary": "3/4"}}, "It runs: 3/4 files.", ""),
    (
        State.RETRYING,
        (condition("Succeeded", "Unknown", "RemoteUnavailable", "attempt 1 failed: no route"),),
        {"nextAttemptTime": "2026-01-02T00:09:00Z"},
        "Attempt 1 failed: no route. The next attempt begins at 2026-01-02T00:09:00+00:00.",
        "cancel",
    ),
    (State.CANCELLING, (), {}, "Its end was asked for; its pods have their grace period.", "Force"),
    (
        State.FAILED,
        (),
        {"failure": {"category": "Auth", "reason": "LoginRefused", "message": "no", "resolution": "Check the Secret."}},
        "Auth: no.",
        "Check the Secret.",
    ),
    (State.CANCELLED, (condition("Succeeded", "False", "Cancelled", "holiday"),), {}, "Holiday.", "Rerun"),
    (State.SUCCEEDED, (condition("Succeeded", "True", "Completed"),), {}, "Completed.", ""),
]


@pytest.mark.parametrize(("state", "conditions", "status", "summary", "action"), CASES)
def test_each_state_has_its_words(
    state: State, conditions: tuple[dict[str, str], ...], status: dict[str, Any], summary: str, action: str
) -> None:
    found = explained(state, *conditions, **status)
    assert found.summary == summary
    assert action in "\n".join(found.actions)
    assert bool(found.actions) == bool(action)
    assert (found.queue is not None) == (state is State.QUEUED)


def test_every_state_is_told() -> None:
    assert {case[0] for case in CASES} == set(State)


def test_pods_and_events_are_told_the_newest_first() -> None:
    pods = [
        {
            "metadata": {"name": "night-1-x", "labels": {LABEL_ATTEMPT: "1"}},
            "spec": {"nodeName": "n1"},
            "status": {
                "phase": "Pending",
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
                ],
            },
        },
        {"metadata": {"name": "night-1-y"}},
    ]
    events = [
        {
            "reason": "Old",
            "lastTimestamp": "2026-01-02T00:01:00Z",
            "involvedObject": {"kind": "Pod", "name": "night-1-x"},
        },
        {"reason": "New", "eventTime": "2026-01-02T00:02:00.123456Z", "type": "Warning"},
        {"reason": "Undated"},
    ]
    found = explained(State.STARTING, pods=pods, events=events)
    assert found.summary == "Pod night-1-x: ImagePullBackOff, no such image."
    assert [(pod.name, pod.attempt, pod.phase) for pod in found.pods] == [
        ("night-1-x", 1, "Pending"),
        ("night-1-y", None, "Unknown"),
    ]
    assert [event.reason for event in found.events] == ["New", "Old", "Undated"]
    assert found.events[1].about == "Pod/night-1-x"
