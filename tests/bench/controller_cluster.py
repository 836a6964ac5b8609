"""What the controller is measured on: a control plane as processes, simulated nodes, a Postgres, and nothing else."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from octo_core.db.migrate import upgrade
from octo_core.settings import DatabaseSettings
from tests.support.control_plane import BINARIES, ControlPlane, control_plane
from tests.support.ports import ReservedPort
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.program import Program

NODES = 10


@dataclass(frozen=True, slots=True)
class Cluster:
    """A control plane with nodes, and a Postgres with Octo's tables."""

    plane: ControlPlane
    postgres: PostgresServer
    folder: Path

    @property
    def database_url(self) -> str:
        """Of Octo's database."""
        return self.postgres.url("octo")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start all of it, and end all of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="octo-bench-")))
        server = stack.enter_context(postgres_server())
        asyncio.run(_tables(server))
        plane = stack.enter_context(control_plane(folder, "--profiling=true"))
        plane.install_crds()
        port = ReservedPort()
        stack.callback(port.release)
        scheduler = Program(
            "kube-scheduler",
            [
                *(str(BINARIES / "kube-scheduler"), "--kubeconfig", str(plane.kubeconfig), "--leader-elect=false"),
                *("--authentication-kubeconfig", str(plane.kubeconfig)),
                *("--authorization-kubeconfig", str(plane.kubeconfig)),
                *("--bind-address", "127.0.0.1", "--secure-port", str(port.number)),
                *("--cert-dir", str(folder / "scheduler"), "--kube-api-qps", "500", "--kube-api-burst", "1000"),
            ],
            log=folder / "scheduler.log",
        )
        kwok = Program(
            "kwok",
            [
                *(str(BINARIES / "kwok"), "--kubeconfig", str(plane.kubeconfig), "--manage-all-nodes=true"),
                *("--config", str(BINARIES / "kwok-stages.yaml"), "--server-address", "127.0.0.1:0"),
            ],
            log=folder / "kwok.log",
        )
        for program in (scheduler, kwok):
            program.start()
            stack.callback(program.kill)
        _make_nodes(plane)
        yield Cluster(plane, server, folder)


def _make_nodes(plane: ControlPlane) -> None:
    kubectl = plane.kubectl("default")
    names = [f"node-{number}" for number in range(NODES)]
    nodes = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"type": "kwok"}}} for name in names
    ]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))
    kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=180s", timeout=190)
    # The API server taints each new node, and the part that takes the taint off does not run here.
    kubectl("patch", "nodes", *names, "-p", '{"spec":{"taints":null}}')


async def _tables(server: PostgresServer) -> None:
    connection = await asyncpg.connect(server.url("postgres"))
    await connection.execute("CREATE DATABASE octo")
    await connection.close()
    await upgrade(DatabaseSettings(database_url=SecretStr(server.url("octo"))))
