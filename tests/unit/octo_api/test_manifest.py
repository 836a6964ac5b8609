"""From a request to the OctoJob that it stands for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from octo_api.jobs.manifest import claim_of, order_of
from octo_api.jobs.schemas import JobOptions, JobRequest, ProviderJobRequest
from octo_core.crd.schema import structural
from octo_core.db.idempotency import Claim
from octo_core.domain import names
from octo_core.domain.errors import InvalidError
from octo_core.domain.job import OctoJobSpec
from octo_core.domain.partitions import partition_labels

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def claim(**body: Any) -> Claim:
    request = JobRequest.model_validate({"provider": "acme", **body})
    order = order_of(request, provider="acme", namespace="octo", labels=request.labels)
    return claim_of(order, tenant="ops", idempotency_key="k", now=NOW, ttl=timedelta(days=7))


def test_every_option_of_a_request_is_one_of_an_octojob() -> None:
    asked, held = (structural(model, defaults=False)["properties"] for model in (JobOptions, OctoJobSpec))
    for name, schema in asked.items():
        # Its bounds too; only the words may differ.
        assert {**schema, "description": ""} == {**held[name], "description": ""}, name


def test_the_manifest_holds_what_was_said_and_no_default() -> None:
    made = claim(retryPolicy={"maxAttempts": 5}, selection={"dryRun": True}, priority=None)
    spec = made.manifest["spec"]
    assert spec["retryPolicy"] == {"maxAttempts": 5}
    assert spec["selection"] == {"dryRun": True}
    assert "priority" not in spec
    assert spec["idempotency"] == {"keyHash": made.key_hash, "fingerprint": made.fingerprint}
    assert OctoJobSpec.model_validate(spec).requested_by == "ops"
    assert made.manifest["metadata"]["name"] == made.job_name
    assert made.expires_at == NOW + timedelta(days=7)


def test_the_fingerprint_is_of_the_request_not_of_its_spelling() -> None:
    one = claim(parameters={"a": "1", "b": "2"}, priority=3)
    assert claim(priority=3, parameters={"b": "2", "a": "1"}) == one
    by_path = ProviderJobRequest.model_validate({"parameters": {"a": "1", "b": "2"}, "priority": 3})
    assert order_of(by_path, provider="acme", namespace="octo").fingerprint == one.fingerprint


@pytest.mark.parametrize(
    ("provider", "namespace", "body"),
    [
        ("other", "octo", {}),
        ("acme", "other", {}),
        ("acme", "octo", {"priority": 1}),
        ("acme", "octo", {"labels": {"team": "risk"}}),
    ],
)
def test_the_fingerprint_tells_requests_apart(provider: str, namespace: str, body: dict[str, Any]) -> None:
    request = ProviderJobRequest.model_validate(body)
    other = order_of(request, provider=provider, namespace=namespace, labels=request.labels)
    assert other.fingerprint != claim().fingerprint


def test_labels_are_kept_and_octos_own_are_not_a_users() -> None:
    made = claim(labels={"team": "risk"}).manifest["metadata"]["labels"]
    octos = {names.LABEL_MANAGED_BY: "octo", names.LABEL_PROVIDER: "acme", **partition_labels("octo", "acme")}
    assert made == {"team": "risk", **octos}
    with pytest.raises(InvalidError):
        claim(labels={names.LABEL_PROVIDER: "other"})


@pytest.mark.parametrize("parameters", [{"a": "\0"}, {"\0": "a"}])
def test_text_that_postgres_cannot_hold_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(InvalidError):
        claim(parameters=parameters)
    with pytest.raises(InvalidError):
        claim(selection={"paths": ["a\0"]})
