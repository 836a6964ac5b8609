"""Plain manifests for kustomize, made from the chart.

``python -m deploy.chart.kustomize MANIFESTS CRDS FOLDER`` writes them; MANIFESTS is what ``helm template`` prints.
Hooks have no meaning here: the migration is an ordinary Job, `helm test` is left out, and what only Helm reads goes.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

Raw = dict[str, Any]
HEAD = "# Made from charts/octo by `make kustomize`. Change it by an overlay, or change the chart.\n"


def plain(objects: Iterable[Raw]) -> list[Raw]:
    """The objects without what is Helm's."""
    return [_plain(found) for found in objects if _annotations(found).get("helm.sh/hook") != "test"]


def _annotations(found: Raw) -> dict[str, str]:
    return found["metadata"].get("annotations") or {}


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: _plain(value)
        for key, value in node.items()
        if not key.startswith("helm.sh/") and (key, value) != ("app.kubernetes.io/managed-by", "Helm")
    }
    return {key: value for key, value in kept.items() if key != "annotations" or value}


def write(objects: Iterable[Raw], crds: Path, folder: Path) -> None:
    """Write the base of an installation in the namespace octo."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.yaml"):
        old.unlink()
    definitions = sorted(crds.glob("*.yaml"))
    for path in definitions:
        shutil.copy(path, folder / path.name)
    body = yaml.safe_dump_all(plain(objects), sort_keys=False, width=1000)
    (folder / "octo.yaml").write_text(HEAD + body)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "octo",
        "resources": [*(path.name for path in definitions), "octo.yaml"],
    }
    (folder / "kustomization.yaml").write_text(HEAD + yaml.safe_dump(kustomization, sort_keys=False))


if __name__ == "__main__":
    manifests = [found for found in yaml.safe_load_all(Path(sys.argv[1]).read_text()) if found]
    write(manifests, Path(sys.argv[2]), Path(sys.argv[3]))
