"""Renders the chart with the real helm, and picks out of the objects what the tests look at."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).parents[3]
CHART = REPO / "charts" / "octo"
EMBEDDED = ("postgres.embedded.enabled=true",)
EXTERNAL = ("database.url=postgresql://octo:hidden-word@db.example:5432/octo",)

Object = dict[str, Any]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RenderError(Exception):
    """What helm said."""


def helm(*args: str, timeout: float = 240) -> str:
    """Run helm; it never looks at a cluster here."""
    path = shutil.which("helm", path=f"{REPO / '.octo' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert path, "helm is missing: run `make helm`, or put helm on PATH"
    done = subprocess.run([path, *args], capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise RenderError(done.stdout + done.stderr)
    return done.stdout


def render(*values: str, release: str = "octo", args: tuple[str, ...] = ()) -> list[Object]:
    """The objects of a release, CRDs not among them."""
    sets = [part for value in values for part in ("--set", value)]
    output = helm("template", release, str(CHART), "--namespace", "octo", *sets, *args)
    return [found for found in yaml.load_all(output, Loader=LOADER) if found]


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """Name to object."""
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod spec with the name of what makes it."""
    for found in objects:
        template = found.get("spec", {}).get("template")
        if template:
            yield f"{found['kind']}/{found['metadata']['name']}", template["spec"]


def containers(pod: Object) -> Iterator[Object]:
    """All containers of a pod, of whatever sort."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]
