"""The job's own word goes before the provider's, and that before Octo's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from octo_core.domain.job import JobSelection, OctoJobSpec
from octo_core.domain.provider import OctoProviderSpec
from octo_core.domain.run import RunIdentity, resolve_options, resolve_run, resolve_selection
from octo_core.domain.selection import SelectionPolicy

PROVIDER: dict[str, Any] = {
    "source": {
        "sftp": {
            "host": "sftp.example.com",
            "username": "octo",
            "paths": ["out"],
            "include": ["*.gpg"],
            "credentialsSecretRef": {"name": "bank-sftp"},
            "hostKeys": ["sftp.example.com ssh-ed25519 AAAA"],
        }
    },
    "destination": {"s3": {"bucket": "landing", "prefix": "bank"}},
    "selection": {"minAgeSeconds": 30},
}


def provider(**more: Any) -> OctoProviderSpec:
    return OctoProviderSpec.model_validate({**PROVIDER, **more})


def job(**more: Any) -> OctoJobSpec:
    return OctoJobSpec.model_validate({"providerRef": {"name": "bank"}, **more})


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [({}, {}, 0), ({}, {"priority": 5}, 5), ({"priority": 0}, {"priority": 5}, 0), ({"priority": 7}, {}, 7)],
)
def test_options_of_job_then_provider_then_octo(own: dict[str, Any], given: dict[str, Any], expected: int) -> None:
    assert resolve_options(job(**own), provider(jobDefaults=given)).priority == expected


def test_options_do_not_need_the_provider() -> None:
    options = resolve_options(job(), None)
    assert options.concurrency_key == "bank"
    assert options.retry_policy.max_attempts == 3


def test_a_concurrency_key_of_ones_own() -> None:
    assert resolve_options(job(concurrency={"key": "shared"}), provider()).concurrency_key == "shared"


def test_selection_of_the_job_replaces_field_by_field() -> None:
    chosen = resolve_selection(JobSelection(include=(), policy=SelectionPolicy.ALL), provider())
    assert chosen.paths == ("out",)
    assert chosen.include == ()
    assert chosen.policy == SelectionPolicy.ALL
    assert chosen.min_age_seconds == 30


def test_the_run_document_survives_its_journey() -> None:
    made = datetime(2026, 1, 2, tzinfo=UTC)
    who = RunIdentity(namespace="octo", name="oj-1", uid="u", attempt=1, provider="bank", created_at=made)
    run = resolve_run(who, job(parameters={"day": "2026-01-02"}), provider(), report_url="http://api")
    assert type(run).model_validate_json(run.model_dump_json(by_alias=True)) == run


@pytest.mark.parametrize(
    "broken",
    [
        {"container": {"image": "x"}},
        {"source": None, "destination": None},
        {"destination": None},
        {"destination": {"s3": {"bucket": "landing", "prefix": "/x"}}},
        {"sauce": {}},
    ],
)
def test_a_provider_of_no_one_kind_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        provider(**broken)
