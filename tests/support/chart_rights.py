"""The rights that the chart gives, on a bare control plane, so that tests notice a rule that is missing."""

from __future__ import annotations

import subprocess

import yaml

from tests.support.control_plane import ControlPlane
from tests.support.kubectl import ROOT


def install_rights(plane: ControlPlane, namespace: str) -> None:
    """Make a namespace with the chart's ServiceAccounts, Roles and their bindings."""
    kubectl = plane.kubectl(namespace)
    kubectl("create", "namespace", namespace)
    rendered = subprocess.run(
        [
            *(str(ROOT / ".octo" / "bin" / "helm"), "template", "octo", str(ROOT / "charts" / "octo")),
            *("--namespace", namespace, "--set", "postgres.embedded.enabled=true"),
            *("--show-only", "templates/rbac.yaml"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    kubectl.apply(*(document for document in yaml.safe_load_all(rendered.stdout) if document))


def token_of(plane: ControlPlane, namespace: str, account: str) -> str:
    """A token of one of those ServiceAccounts: octo-api, octo-controller or octo-worker."""
    return plane.kubectl(namespace)("create", "token", account, "--duration=12h").strip()
