"""What a real API server accepts and refuses of Octo's resources."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.kubectl import ROOT, Kubectl, KubectlError

SFTP: dict[str, Any] = {
    "source": {
        "sftp": {
            "host": "sftp.example.com",
            "username": "octo",
            "credentialsSecretRef": {"name": "bank-sftp"},
            "hostKeys": ["sftp.example.com ssh-ed25519 AAAA"],
        }
    },
    "destination": {"s3": {"bucket": "landing", "prefix": "bank"}},
}


@pytest.fixture(scope="module")
def kubectl(cluster: None) -> Iterator[Kubectl]:
    namespace = f"octo-crds-{uuid.uuid4().hex[:6]}"
    cluster_wide = Kubectl("default")
    cluster_wide("apply", "-f", str(ROOT / "crds"))
    cluster_wide("wait", "--for=condition=Established", "crd/octojobs.octo.dev", "crd/octoproviders.octo.dev")
    cluster_wide("create", "namespace", namespace)
    yield Kubectl(namespace)
    cluster_wide("delete", "namespace", namespace, "--wait=false")


def provider(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoProvider",
        "metadata": {"name": "bank"},
        "spec": {key: value for key, value in {**SFTP, **spec}.items() if value is not None},
    }


def job(name: str = "run", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoJob",
        "metadata": {"name": name},
        "spec": {"providerRef": {"name": "bank"}, **spec},
    }


@pytest.mark.parametrize(
    "good",
    [
        provider(),
        provider(source=None, destination=None, container={"image": "busybox", "args": ["true"]}),
        provider(decrypt={"openpgp": {"keySecretRef": {"name": "k", "key": "key.asc"}}}),
        provider(decrypt={"openpgp": {"mode": "Never"}}),
        provider(jobDefaults={"retryPolicy": {"maxAttempts": 1}, "transfer": {"onFileError": "SkipFile"}}),
        job(),
        job(priority=10, parameters={"day": "2026-01-02"}, selection={"policy": "All", "dryRun": True}),
        job(retryPolicy={"retryOn": ["Infra", "Decrypt"]}, concurrency={"policy": "Forbid"}),
    ],
)
def test_accepted(kubectl: Kubectl, good: dict[str, Any]) -> None:
    kubectl.apply(good, dry_run=True)


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        (provider(container={"image": "x"}), "exactly one of source and container"),
        (provider(source=None, destination=None), "exactly one of source and container"),
        (provider(destination=None), "source and destination go together"),
        (provider(source={"sftp": {**SFTP["source"]["sftp"], "hostKeys": []}}), "hostKeys"),
        (provider(source={"sftp": {**SFTP["source"]["sftp"], "port": 0}}), "port"),
        (provider(destination={"s3": {"bucket": "landing", "prefix": "/x"}}), "slash"),
        (provider(decrypt={"openpgp": {"mode": "Required"}}), "needs keySecretRef"),
        (provider(decrypt={"openpgp": {"mode": "Perhaps"}}), "Perhaps"),
        (job("x" * 53), "at most 52"),
        (job(concurrency={"policy": "Perhaps"}), "Perhaps"),
        (job(retryPolicy={"maxAttempts": 21}), "maxAttempts"),
        (job(retryPolicy={"retryOn": ["Luck"]}), "Luck"),
        (job(priority=1001), "priority"),
        (job(providerRef={}), 'missing required field "name"'),
        (job(prviderRef={}), "prviderRef"),
    ],
)
def test_refused_with_the_field_named(kubectl: Kubectl, bad: dict[str, Any], names: str) -> None:
    with pytest.raises(KubectlError, match=names):
        kubectl.apply(bad, dry_run=True)


def test_what_defines_a_run_is_immutable_and_a_cancel_is_final(kubectl: Kubectl) -> None:
    kubectl.create(job("fixed", parameters={"day": "1"}))

    def patch(body: str) -> None:
        kubectl("patch", "octojob", "fixed", "--type=merge", "-p", body)

    for refused in (
        '{"spec":{"providerRef":{"name":"other"}}}',
        '{"spec":{"parameters":{"day":"2"}}}',
        '{"spec":{"parameters":null}}',
        '{"spec":{"selection":{"policy":"All"}}}',
        json.dumps({"spec": {"idempotency": {"keyHash": "a" * 64, "fingerprint": "b" * 64}}}),
    ):
        with pytest.raises(KubectlError, match="immutable"):
            patch(refused)
    patch('{"spec":{"suspend":true,"priority":5}}')
    patch('{"spec":{"cancel":{"requestedAt":"2026-01-02T03:04:05Z","reason":"enough"}}}')
    patch('{"spec":{"cancel":{"mode":"Force"}}}')
    for refused, why in (
        ('{"spec":{"cancel":null}}', "cannot be withdrawn"),
        ('{"spec":{"cancel":{"requestedAt":"2027-01-02T03:04:05Z"}}}', "cannot be withdrawn or moved"),
        ('{"spec":{"cancel":{"mode":"Graceful"}}}', "Graceful to Force only"),
    ):
        with pytest.raises(KubectlError, match=why):
            patch(refused)


def test_status_is_a_subresource_and_columns_show_it(kubectl: Kubectl) -> None:
    stored = kubectl.create({**job("shown"), "status": {"state": "Succeeded"}})
    assert "status" not in stored, "a status in a create must be ignored"
    kubectl(
        "patch",
        "octojob",
        "shown",
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":{"state":"Running","attempt":2,"progress":{"summary":"12/340"}}}',
    )
    header, line = kubectl("get", "oj", "shown").splitlines()
    assert header.split() == ["NAME", "STATE", "REASON", "PROVIDER", "ATTEMPT", "FILES", "AGE"]
    assert line.split()[:5] == ["shown", "Running", "bank", "2", "12/340"]
    assert "shown" in kubectl("get", "octo")
    assert "shown" in kubectl("get", "all")
    by_field = kubectl("get", "oj", "--field-selector", "status.state=Running,spec.providerRef.name=bank", "-o", "name")
    assert by_field.split() == ["octojob.octo.dev/shown"]


def test_explain_tells_what_a_field_is(kubectl: Kubectl) -> None:
    assert "known_hosts" in kubectl("explain", "octoprovider.spec.source.sftp.hostKeys")
