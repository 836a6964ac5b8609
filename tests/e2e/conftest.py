"""A real cluster with Octo installed by its chart. ``make test`` brings cluster and images."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.kubectl import ROOT, environment


@pytest.fixture(scope="session")
def cluster() -> None:
    """The cluster under test answers."""
    done = subprocess.run(
        ["kubectl", "get", "--raw=/readyz"], env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        pytest.fail(f"no cluster answers; run `make cluster`: {done.stderr}")
    assert ROOT.exists()
