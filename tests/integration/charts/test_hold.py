"""OctoJobs that are held from their creation on, by an API server that has MutatingAdmissionPolicies."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.control_plane import ControlPlane, control_plane
from tests.support.kubectl import ROOT, Kubectl, eventually
from tests.unit.charts.rendering import EMBEDDED, helm

NAMESPACE = "octo-hold"
GROUP = "admissionregistration.k8s.io/v1beta1"
FINALIZER = "octo.dev/archive"


def octojob(name: str, *finalizers: str) -> dict[str, Any]:
    return {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoJob",
        "metadata": {"name": name, **({"finalizers": list(finalizers)} if finalizers else {})},
        "spec": {"providerRef": {"name": "bank"}},
    }


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One with the feature, which Kubernetes 1.34 has and leaves off."""
    folder = Path(tempfile.mkdtemp(prefix="octo-hold-"))
    more = (f"--runtime-config={GROUP}=true", "--feature-gates=MutatingAdmissionPolicy=true")
    try:
        with control_plane(folder, *more) as plane:
            plane.install_crds()
            yield plane
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def kubectl(plane: ControlPlane) -> Kubectl:
    """Of a namespace with the chart's policy in force."""
    kubectl = plane.kubectl(NAMESPACE)
    kubectl("create", "namespace", NAMESPACE)
    served = ("--api-versions", f"{GROUP}/MutatingAdmissionPolicy")
    sets = [part for value in EMBEDDED for part in ("--set", value)]
    chart = str(ROOT / "charts" / "octo")
    rendered = helm("template", "octo", chart, "--namespace", NAMESPACE, *sets, *served)
    kinds = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
    objects = [found for found in yaml.safe_load_all(rendered) if found and found["kind"] in kinds]
    assert [found["kind"] for found in objects] == list(kinds)
    kubectl.apply(*objects)

    # A policy takes effect a moment after it was made.
    eventually(lambda: made(kubectl, octojob("probe"), "--dry-run=server") == [FINALIZER], what="the policy in force")
    return kubectl


def made(kubectl: Kubectl, body: dict[str, Any], *more: str) -> list[str]:
    """Create; the finalizers of what came of it."""
    said = kubectl("create", *more, "-f", "-", "-o", "json", stdin=yaml.safe_dump(body))
    found: list[str] = yaml.safe_load(said)["metadata"].get("finalizers", [])
    return found


def test_each_new_one_is_held_and_deleting_it_waits(kubectl: Kubectl) -> None:
    assert made(kubectl, octojob("plain")) == [FINALIZER]
    kubectl("delete", "octojob", "plain", "--wait=false")
    assert "deletionTimestamp" in kubectl.json("get", "octojob", "plain")["metadata"]


def test_other_finalizers_stay_and_none_comes_twice(kubectl: Kubectl) -> None:
    assert sorted(made(kubectl, octojob("other", "example.com/mine"))) == ["example.com/mine", FINALIZER]
    assert made(kubectl, octojob("held", FINALIZER)) == [FINALIZER]


def test_one_that_was_let_go_is_not_held_again(kubectl: Kubectl) -> None:
    made(kubectl, octojob("loose"))
    kubectl("patch", "octojob", "loose", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("label", "octojob", "loose", "team=a")
    assert "finalizers" not in kubectl.json("get", "octojob", "loose")["metadata"]


def test_those_of_another_namespace_are_left_alone(kubectl: Kubectl, plane: ControlPlane) -> None:
    other = plane.kubectl(f"{NAMESPACE}-other")
    other("create", "namespace", other.namespace)
    assert made(other, octojob("plain")) == []
