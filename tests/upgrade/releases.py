"""Earlier releases of Octo: their charts and what their images are built from, out of this repository's history."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.support.kubectl import ROOT, Kubectl

FIRST = "37f308d69d29b9bd4ca8a2d54bd28f69a55b5570"
"""The oldest one from which an upgrade is promised."""

RETURNABLE = "2654012445eeec01e07d9ca897a4e2e2171977ba"
"""One that can be rolled back to: its api works on the schema of a newer one."""


def tree(commit: str) -> Path:
    """The files of a commit, in a folder that is kept; skips the test where the clone does not go back so far."""
    folder = ROOT / ".octo" / "releases" / commit[:12]
    if folder.exists():
        return folder
    known = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True, check=False
    )
    if known.returncode:
        pytest.skip(f"the history of this clone does not have {commit[:7]}: get it by `git fetch --unshallow`")
    packed = subprocess.run(["git", "archive", "--format=tar", commit], cwd=ROOT, capture_output=True, check=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent))
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(beside, filter="data")
    try:
        beside.rename(folder)
    except OSError:
        # Another session was first.
        shutil.rmtree(beside)
    return folder


def forget_definitions() -> None:
    """Take the custom resource definitions away, for an older release to bring its own.

    Fails where anything is made of them, since it would go as well.
    """
    kubectl = Kubectl("default")
    for plural in ("octojobs", "octoproviders"):
        definition = f"{plural}.octo.dev"
        if not kubectl.exists("crd", definition):
            continue
        there = kubectl("get", definition, "--all-namespaces", "--no-headers", "--ignore-not-found").split("\n")
        in_use = sorted({line.split()[0] for line in there if line})
        if in_use:
            pytest.fail(
                f"an older release can only come where there is no newer one, and there are {plural} in the namespaces"
                f" {', '.join(in_use)}. `python -m deploy.demo down` takes the demo away."
            )
        kubectl("delete", "crd", definition, "--timeout=120s")
