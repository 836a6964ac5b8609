"""The chart against a real API server, and what it leaves behind."""

from __future__ import annotations

import json
import secrets
import subprocess

import pytest

from tests.support.kubectl import ROOT, Kubectl, environment, eventually
from tests.support.release import helm, image_tag, installing

CHART = str(ROOT / "charts" / "octo")


@pytest.mark.parametrize(
    "values",
    [
        ("postgres.embedded.enabled=true",),
        (
            "database.url=postgresql://octo:x@db.example.com/octo",
            "api.autoscaling.enabled=true",
            "api.ingress.enabled=true",
            "api.ingress.host=octo.example.com",
            "controller.shards=2",
            "controller.antiAffinity=Hard",
        ),
    ],
)
def test_the_api_server_accepts_what_the_chart_renders(cluster: None, values: tuple[str, ...]) -> None:
    kubectl = Kubectl(f"octo-dry-run-{secrets.token_hex(3)}")
    kubectl("create", "namespace", kubectl.namespace)
    try:
        sets = [argument for value in values for argument in ("--set", value)]
        rendered = helm("template", "octo", CHART, "--namespace", kubectl.namespace, *sets)
        applied = kubectl("apply", "--dry-run=server", "-f", "-", stdin=rendered)
        assert "deployment.apps/octo-api created (server dry run)" in applied
    finally:
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def test_uninstall_leaves_only_the_crds(cluster: None) -> None:
    namespace = "octo-uninstall"
    kubectl = Kubectl(namespace)
    if kubectl.exists("namespace", namespace):
        kubectl("delete", "namespace", namespace, "--timeout=240s", timeout=260)
    kubectl("create", "namespace", namespace)
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    before = everything(namespace)
    try:
        helm(
            *("install", *installing(namespace, image_tag()), "--wait", "--timeout", "3m"),
        )
        assert len(everything(namespace)) > len(before) + 10
        helm("test", "octo", "--namespace", namespace, "--timeout", "3m")
        helm("uninstall", "octo", "--namespace", namespace, "--wait")

        def only_what_was_there() -> bool:
            left = everything(namespace) - before
            assert left == set(), left
            return True

        eventually(only_what_was_there, within=240, every=2)
        assert kubectl("get", "crd", "octojobs.octo.dev", "octoproviders.octo.dev", "-o", "name").count("octo.dev") == 2
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")


def everything(namespace: str) -> set[str]:
    """Every object of the namespace, and every cluster-wide right that names it.

    A volume that a cluster keeps for the next claim is the cluster's.
    """
    kubectl = Kubectl(namespace)
    kinds = kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split()
    passing = ("events", "leases", "endpoints", "pods.metrics")
    kinds = [kind for kind in kinds if not kind.startswith(passing)]
    found = {f"namespaced {name}" for name in kubectl("get", ",".join(kinds), "-o", "name").split()}
    listed = subprocess.run(
        ["kubectl", "get", "clusterroles,clusterrolebindings", "-o", "json"],
        env=environment(),
        capture_output=True,
        check=True,
    )
    for item in json.loads(listed.stdout)["items"]:
        about = json.dumps([item["metadata"]["name"], item.get("subjects")])
        if namespace in about:
            found.add(f"{item['kind']} {item['metadata']['name']}")
    return found
