"""The controller under measurement, as a process, and what the kernel says of it."""

from __future__ import annotations

import os
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.controller_cluster import Cluster
from tests.bench.controller_load import IMAGE, REPORT_URL
from tests.bench.launch import cpu_seconds
from tests.support.ports import ReservedPort
from tests.support.program import Program


class ControllerProcess:
    """One running controller."""

    def __init__(self, program: Program, port: int) -> None:
        self.program = program
        self._port = port

    def cpu_seconds(self) -> float:
        """User and system time since its start."""
        return cpu_seconds(Path(f"/proc/{self.program.pid}/stat").read_text())

    def memory_mib(self) -> tuple[float, float]:
        """Resident memory now, and its highest so far."""
        status = Path(f"/proc/{self.program.pid}/status").read_text()
        now, peak = (float(re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[0]) for name in ("VmRSS", "VmHWM"))
        return now / 1024, peak / 1024

    def metric(self, name: str) -> float:
        """The sum of a metric's samples at this moment."""
        samples = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self._get("/metrics"), re.MULTILINE)
        return sum(map(float, samples))

    def idle(self) -> bool:
        """Whether it is ready and has nothing to do."""
        text = self._get("/metrics") if self.ready() else ""
        values = [
            float(value)
            for name in ("queue_depth", "queue_oldest_seconds", "mirror_pending")
            for value in re.findall(rf"^octo_controller_{name} (\S+)$", text, re.MULTILINE)
        ]
        return len(values) == 3 and not any(values)

    def ready(self) -> bool:
        """Whether ``/readyz`` says so."""
        try:
            return bool(self._get("/readyz"))
        except OSError:
            return False

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
            return text


@contextmanager
def controller(cluster: Cluster, namespace: str, *, wait: bool = True) -> Iterator[ControllerProcess]:
    """A controller of one namespace; unless told not to, waits until it is ready."""
    port = ReservedPort()
    wrapper = os.environ.get("OCTO_BENCH_WRAPPER", "").split()
    program = Program(
        "controller",
        [*wrapper, sys.executable, "-m", "octo_controller"],
        log=cluster.folder / f"controller-{namespace}.log",
        environment={
            "PATH": os.environ["PATH"],
            "OCTO_KUBECONFIG": str(cluster.plane.kubeconfig),
            "OCTO_NAMESPACE": namespace,
            "OCTO_DATABASE_URL": cluster.database_url,
            "OCTO_WORKER_IMAGE": IMAGE,
            "OCTO_REPORT_URL": REPORT_URL,
            "OCTO_HEALTH_HOST": "127.0.0.1",
            "OCTO_HEALTH_PORT": str(port.number),
            "OCTO_LOG_LEVEL": "WARNING",
        },
        ready=lambda: process.ready(),
    )
    process = ControllerProcess(program, port.number)
    try:
        if wait:
            program.start()
        else:
            program.launch()
        yield process
    finally:
        program.stop()
        port.release()
