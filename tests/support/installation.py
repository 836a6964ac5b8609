"""Fixtures of the tests on a cluster: one installation for all of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.kubectl import Kubectl, environment
from tests.support.pgp import PgpKey
from tests.support.release import Release, helm, installed
from tests.support.remote import Remote, remote_servers

NAMESPACE = "octo-e2e"


@pytest.fixture(scope="session")
def cluster() -> None:
    """The cluster under test answers."""
    done = subprocess.run(
        ["kubectl", "get", "--raw=/readyz"], env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        pytest.fail(f"no cluster answers; run `make cluster`: {done.stderr}")


@pytest.fixture(scope="session")
def octo(cluster: None) -> Iterator[Release]:
    """Octo, installed afresh."""
    remove()
    with installed(NAMESPACE) as release:
        yield release
        remove()


@pytest.fixture(scope="session")
def remote(octo: Release, pgp_key: PgpKey) -> Iterator[Remote]:
    """The servers that its providers name."""
    with remote_servers(octo, pgp_key) as servers:
        yield servers


def remove(namespace: str = NAMESPACE) -> None:
    """What an earlier session left, finalizers first: its controller may be gone."""
    kubectl = Kubectl(namespace)
    if not kubectl.exists("namespace", namespace):
        return
    if kubectl.exists("deployment", "octo-controller"):
        kubectl("delete", "octojobs", "--all", "--wait=false")
        helm("uninstall", "octo", "--namespace", namespace, "--wait", "--ignore-not-found")
    for name in kubectl("get", "octojobs", "-o", "name", "--ignore-not-found").split():
        kubectl("patch", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("delete", "namespace", namespace, "--timeout=240s", timeout=260)
