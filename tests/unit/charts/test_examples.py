"""The manifests and values that people copy."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml
from deploy.chart.kustomize import write

from tests.unit.charts.rendering import CHART, LOADER, REPO, Object, containers, helm, pods

KUSTOMIZE, EXAMPLES = REPO / "deploy" / "kustomize", REPO / "deploy" / "examples"


def rendered(values: Path) -> list[Object]:
    output = helm("template", "octo", str(CHART), "--namespace", "octo", "--values", str(values))
    return [found for found in yaml.load_all(output, Loader=LOADER) if found]


def loaded(path: Path) -> list[Any]:
    return [found for found in yaml.load_all(path.read_text(), Loader=LOADER) if found]


def test_the_plain_manifests_are_the_chart(tmp_path: Path) -> None:
    write(rendered(KUSTOMIZE / "values.yaml"), REPO / "crds", tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in (KUSTOMIZE / "base").iterdir()}, "run `make kustomize`"


def test_the_plain_manifests_have_nothing_of_helm_and_no_secret() -> None:
    found = loaded(KUSTOMIZE / "base" / "octo.yaml")
    kinds = [one["kind"] for one in found]
    assert "Secret" not in kinds
    assert "Pod" not in kinds
    assert {"Job", "Deployment", "NetworkPolicy"} <= set(kinds)
    assert "helm" not in yaml.safe_dump_all(found).lower()


def test_the_values_for_production_name_the_secrets_of_the_examples() -> None:
    made = {
        (one["kind"], one["spec"]["target"]["name"]): {entry["secretKey"] for entry in one["spec"]["data"]}
        for one in loaded(EXAMPLES / "external-secrets.yaml")
    }
    objects = rendered(EXAMPLES / "values.yaml")
    assert "Secret" not in {one["kind"] for one in objects}
    for name, pod in pods(objects):
        for volume in pod.get("volumes", ()):
            sources = [part["secret"] for part in volume.get("projected", {}).get("sources", ())]
            for source in (*sources, *([volume["secret"]] if "secret" in volume else [])):
                if source.get("optional"):
                    continue  # For while a key is being replaced.
                secret = source.get("name") or source["secretName"]
                assert {item["key"] for item in source["items"]} <= made["ExternalSecret", secret], name
        assert all("envFrom" not in container for container in containers(pod))


def test_the_way_to_the_database_of_the_example_is_open() -> None:
    (cluster,) = (one for one in loaded(EXAMPLES / "cloudnative-pg.yaml") if one["kind"] == "Cluster")
    selector = {"podSelector": {"matchLabels": {"cnpg.io/cluster": cluster["metadata"]["name"]}}}
    policies = [one for one in rendered(EXAMPLES / "values.yaml") if one["kind"] == "NetworkPolicy"]
    reaching = {
        one["metadata"]["name"]
        for one in policies
        if any(selector in rule.get("to", ()) for rule in one["spec"].get("egress", ()))
    }
    assert reaching == {"octo-api", "octo-controller", "octo-migrate"}


def test_the_overlay_of_the_docs_changes_all_images(tmp_path: Path) -> None:
    text = (REPO / "docs" / "operations.md").read_text()
    (overlay,) = re.findall(r"```yaml\n(apiVersion: kustomize\.config.*?)```", text, re.DOTALL)
    shutil.copytree(KUSTOMIZE, tmp_path / "deploy" / "kustomize")
    folder = tmp_path / "overlays" / "mine"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text(overlay)
    kubectl = REPO / ".octo" / "bin" / "kubectl"
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    built = [found for found in yaml.load_all(done.stdout, Loader=LOADER) if found]
    assert {one["metadata"].get("namespace", "octo") for one in built} == {"octo"}
    images = {container["image"] for _, pod in pods(built) for container in containers(pod)}
    assert images == {f"registry.example.com/octo/{name}:0.1.0" for name in ("api", "controller")}
    assert "registry.example.com/octo/worker:0.1.0" in done.stdout
