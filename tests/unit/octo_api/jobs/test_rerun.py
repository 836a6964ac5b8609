"""A run once more: what it takes over of the first, and what not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from octo_api.errors import InvalidStateError
from octo_api.jobs.rerun import MAX_FILES, rerun_of
from octo_api.jobs.schemas import RerunMode
from octo_core.db.job_reads import JobRecord
from octo_core.domain import names
from octo_core.domain.job import OctoJobSpec

NOW = datetime(2026, 1, 2, tzinfo=UTC)

SPEC: dict[str, Any] = {
    "providerRef": {"name": "acme"},
    "parameters": {"day": "monday"},
    "selection": {"paths": ["in"], "include": ["*.csv"]},
    "priority": 7,
    "requestedBy": "someone",
    "suspend": True,
    "startAfter": "2026-01-01T00:00:00Z",
    "cancel": {"requestedAt": "2026-01-01T00:00:00Z"},
    "idempotency": {"keyHash": "0" * 64, "fingerprint": "0" * 64},
    "scheduleRef": {"name": "acme", "scheduledTime": "2026-01-01T00:00:00Z"},
}

ENDED = JobRecord(
    uid="first",
    namespace="octo",
    name="night",
    provider="acme",
    resource_version=Decimal(5),
    generation=1,
    state="Failed",
    reason="x",
    attempt=1,
    priority=7,
    requested_by="someone",
    rerun_of=None,
    schedule="acme",
    labels={"team": "risk", names.LABEL_PROVIDER: "acme", names.LABEL_MANAGED_BY: "octo"},
    spec=SPEC,
    status={},
    created_at=NOW,
    started_at=NOW,
    finished_at=NOW,
)


def test_all_takes_over_what_the_run_did_and_its_labels() -> None:
    order = rerun_of(ENDED, RerunMode.ALL, [])
    assert order.spec == {
        "providerRef": {"name": "acme"},
        "parameters": {"day": "monday"},
        "selection": {"paths": ["in"], "include": ["*.csv"]},
        "priority": 7,
        "rerunOf": {"name": "night", "uid": "first"},
    }
    assert (order.labels, order.provider, order.namespace) == ({"team": "risk"}, "acme", "octo")
    assert rerun_of(ENDED, RerunMode.FAILED_FILES, ["in/a"]).fingerprint != order.fingerprint


def test_failed_files_are_named() -> None:
    order = rerun_of(ENDED, RerunMode.FAILED_FILES, ["in/a", "in/b"])
    assert order.spec["selection"] == {"policy": "Explicit", "files": ["in/a", "in/b"], "paths": ["in"]}
    assert OctoJobSpec.model_validate(order.spec).selection.files == ("in/a", "in/b")


@pytest.mark.parametrize("failed", [[], [f"in/{n}" for n in range(MAX_FILES + 1)]])
def test_what_cannot_be_named_is_refused(failed: list[str]) -> None:
    with pytest.raises(InvalidStateError):
        rerun_of(ENDED, RerunMode.FAILED_FILES, failed)


def test_a_run_under_way_is_not_run_again() -> None:
    with pytest.raises(InvalidStateError):
        rerun_of(replace(ENDED, state="Running"), RerunMode.ALL, [])
