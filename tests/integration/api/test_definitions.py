"""``octo-api apply-crds`` on a real API server, with the rights that the chart's hook gives it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.control_plane import ControlPlane, control_plane
from tests.support.kubectl import ROOT, KubectlError


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    with control_plane(tmp_path) as running:
        yield running


def apply_crds(kubeconfig: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "octo_api", "apply-crds"],
        env={"OCTO_KUBECONFIG": str(kubeconfig), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_older_definitions_are_brought_to_this_version(plane: ControlPlane, tmp_path: Path) -> None:
    kubectl = plane.kubectl("octo")
    kubectl("create", "namespace", "octo")
    # As Helm makes them at the first install, by an older version that had no short names.
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        definition = yaml.safe_load(path.read_text())
        del definition["spec"]["names"]["shortNames"]
        del definition["metadata"]["annotations"]
        kubectl.create(definition)
    plane.await_crds()
    rendered = subprocess.run(
        [
            *(str(ROOT / ".octo" / "bin" / "helm"), "template", "octo", str(ROOT / "charts" / "octo")),
            *("--namespace", "octo", "--set", "postgres.embedded.enabled=true"),
            *("--show-only", "templates/crds.yaml"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    objects = [found for found in yaml.safe_load_all(rendered.stdout) if found and found["kind"] != "Job"]
    token_of = ("create", "token", "octo-crds", "--duration=1h")
    kubectl.apply(*(found for found in objects if found["kind"] == "ServiceAccount"))
    as_hook = plane.write_kubeconfig(tmp_path / "hook.kubeconfig", token=kubectl(*token_of).strip())
    refused = apply_crds(as_hook)
    assert refused.returncode == 1
    assert "forbidden" in refused.stderr

    kubectl.apply(*objects)
    for _ in range(2):
        done = apply_crds(as_hook)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["octojobs.octo.dev", "applied", "octoproviders.octo.dev", "applied"]
        assert kubectl.json("get", "crd", "octojobs.octo.dev")["spec"]["names"]["shortNames"] == ["oj"]

    # A newer release was here, with a short name more, and was rolled back.
    newer = kubectl.json("get", "crd", "octojobs.octo.dev")
    newer["metadata"]["annotations"]["octo.dev/version"] = "99.0.0"
    newer["spec"]["names"]["shortNames"] = ["oj", "ojob"]
    kubectl("replace", "-f", "-", stdin=json.dumps(newer))
    done = apply_crds(as_hook)
    assert done.returncode == 0, done.stderr
    left, applied = done.stdout.splitlines()
    assert left.startswith("octojobs.octo.dev left as it is, of version 99.0.0; this is ")
    assert applied == "octoproviders.octo.dev applied"
    assert kubectl.json("get", "crd", "octojobs.octo.dev")["spec"]["names"]["shortNames"] == ["oj", "ojob"]

    other = kubectl("auth", "can-i", "--list", "--as=system:serviceaccount:octo:octo-crds")
    assert "customresourcedefinitions" in other
    with pytest.raises(KubectlError):
        kubectl("auth", "can-i", "create", "crds", "--as=system:serviceaccount:octo:octo-crds")
