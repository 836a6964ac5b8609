"""The project's own cluster comes up, survives crashes, and leaves nothing behind.

Takes the running cluster down, so it is a verb of its own: ``make test-cluster``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.support.kubectl import ROOT, Kubectl

CLUSTER = str(ROOT / "deploy" / "cluster.sh")
STATE = ROOT / ".octo" / "cluster"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


def up() -> float:
    """Seconds until the cluster was up."""
    start = time.monotonic()
    done = run(CLUSTER, "up")
    assert done.returncode == 0, done.stderr[-3000:]
    return time.monotonic() - start


def assert_works() -> None:
    kubectl = Kubectl("default")
    kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
    kubectl("auth", "can-i", "*", "*")


@pytest.fixture(scope="module", autouse=True)
def _only_the_local_one() -> None:
    kind = run(CLUSTER, "kind-of").stdout.strip()
    if kind != "local":
        pytest.skip(f"this machine's cluster is {kind}; these tests are about the project's own")


def test_down_leaves_nothing_and_up_works_again(record_property: Callable[[str, object], None]) -> None:
    up()
    assert run(CLUSTER, "down").returncode == 0
    clean = run(str(ROOT / "deploy" / "local" / "check-clean.sh"))
    assert clean.returncode == 0, clean.stdout + clean.stderr
    seconds = up()
    assert_works()
    record_property("second_start_seconds", round(seconds, 1))


def test_a_killed_component_is_started_again() -> None:
    up()
    for component in ("kube-apiserver", "kubelet", "etcd"):
        pid = int((STATE / "pids" / component).read_text())
        os.kill(pid, signal.SIGKILL)
    up()
    assert_works()


def test_a_start_killed_at_any_moment_can_be_repeated() -> None:
    moments = random.Random(4)
    for _ in range(3):
        assert run(CLUSTER, "down").returncode == 0
        starting = subprocess.Popen(
            [CLUSTER, "up"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(moments.uniform(0.5, 12))
        os.killpg(starting.pid, signal.SIGKILL)
        starting.wait()
    up()
    assert_works()
    assert run(CLUSTER, "down").returncode == 0
    clean = run(str(ROOT / "deploy" / "local" / "check-clean.sh"))
    assert clean.returncode == 0, clean.stdout + clean.stderr
