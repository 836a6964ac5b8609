"""Custom resource definitions that another version of the chart has left in the cluster."""

from __future__ import annotations

import copy
import json
import subprocess
from typing import Any

import pytest
import yaml
from deploy.demo import install

from tests.support.control_plane import ControlPlane
from tests.support.kubectl import ROOT, Kubectl, KubectlError, environment

NAME = "octoproviders.octo.dev"
BY_FORCE = ("--server-side", "--force-conflicts")


def test_helm_would_refuse_what_another_version_wrote_and_leaves_it_alone_when_told(
    bare_control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl = bare_control_plane.kubectl("octo-definitions")

    def helm(*more: str) -> str:
        # Hooks need a node. One of them is the Job that brings the definitions to the chart's version.
        command = [
            *("helm", "install", "octo", str(ROOT / "charts" / "octo"), "--namespace", kubectl.namespace),
            *("--no-hooks", "--set", "postgres.embedded.enabled=true", *more),
        ]
        done = subprocess.run(
            command,
            env=environment(bare_control_plane.kubeconfig),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode:
            raise KubectlError(done.stderr)
        return done.stdout

    monkeypatch.setattr(install, "succeeds", lambda *command: _succeeds(kubectl, *map(str, command)))
    kubectl("create", "namespace", kubectl.namespace)
    try:
        for path in sorted((ROOT / "crds").glob("*.yaml")):
            definition = copy.deepcopy(yaml.safe_load(path.read_text()))
            schema(definition)["description"] = "As another version has it."
            # As that version's Job does.
            kubectl("apply", *BY_FORCE, "--field-manager=octo", "-f", "-", stdin=json.dumps(definition))
        assert install.skip_crds() == ("--skip-crds",)
        with pytest.raises(KubectlError, match="conflict"):
            helm()
        assert "deployed" in helm(*install.skip_crds())
        assert schema(kubectl.json("get", "crd", NAME))["description"] == "As another version has it."
    finally:
        kubectl("apply", *BY_FORCE, "--field-manager=octo", "-f", str(ROOT / "crds"))
        kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def schema(definition: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def _succeeds(kubectl: Kubectl, *command: str) -> bool:
    assert command[0] == "kubectl"
    try:
        kubectl(*command[1:])
    except KubectlError:
        return False
    return True
