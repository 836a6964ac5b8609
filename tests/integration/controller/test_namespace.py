"""A namespace with OctoJobs can be deleted, whether the controller lives outside of it or goes with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from octo_core.db.session import Database
from octo_core.db.tables import JobRow
from octo_core.settings import DatabaseSettings
from tests.support.chart_rights import install_rights, token_of
from tests.support.control_plane import ControlPlane
from tests.support.kubectl import Kubectl, eventually
from tests.support.program import Program

Raw = dict[str, Any]
WITHIN = 240


@pytest.fixture
def program(
    bare_control_plane: ControlPlane,
    database_settings: DatabaseSettings,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[tuple[Program, Kubectl]]:
    """A controller of a new namespace with one run under way and one that is held; the parameter says whose rights
    it has: the administrator's, or the chart's, which go with the namespace."""
    plane, namespace = bare_control_plane, f"octo-{request.node.name.split('[')[0].replace('_', '-')[-40:]}"
    install_rights(plane, namespace)
    token = token_of(plane, namespace, "octo-controller") if request.param == "chart" else None
    environment = {
        "OCTO_KUBECONFIG": str(plane.write_kubeconfig(tmp_path / "kubeconfig", token=token)),
        "OCTO_NAMESPACE": namespace,
        "OCTO_DATABASE_URL": database_settings.database_url.get_secret_value(),
        "OCTO_WORKER_IMAGE": "none",
        "OCTO_HEALTH_HOST": "127.0.0.1",
        "OCTO_HEALTH_PORT": "0",
        "PATH": "/usr/bin:/bin",
    }
    command = [str(Path(sys.executable).with_name("octo-controller"))]
    program = Program("controller", command, log=tmp_path / "controller.log", environment=environment)
    kubectl = plane.kubectl(namespace)
    with _running(program):
        spec = {"container": {"image": "none"}}
        kubectl.apply(_octo("OctoProvider", "bank", spec))
        kubectl.apply(_octo("OctoJob", "waits", {"providerRef": {"name": "bank"}, "concurrency": {"policy": "Allow"}}))
        kubectl.apply(_octo("OctoJob", "held", {"providerRef": {"name": "bank"}, "suspend": True}))
        eventually(lambda: _states(kubectl) == {"waits": "Starting", "held": "Suspended"}, within=WITHIN, what="states")
        yield program, kubectl


@contextmanager
def _running(program: Program) -> Iterator[None]:
    program.launch()
    try:
        yield
    finally:
        program.kill()


def _octo(kind: str, name: str, spec: Raw) -> Raw:
    return {"apiVersion": "octo.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _states(kubectl: Kubectl) -> dict[str, str]:
    items = kubectl.json("get", "octojobs")["items"]
    return {raw["metadata"]["name"]: raw.get("status", {}).get("state", "") for raw in items}


async def _rows(database: Database) -> dict[str, tuple[str, str | None, bool]]:
    async with database.transaction() as session:
        rows = await session.scalars(select(JobRow).where(JobRow.name != "orphan"))
        return {row.name: (row.state, row.reason, row.deleted_at is not None) for row in rows}


async def _await_rows(database: Database) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            if await _rows(database) == GONE:
                return
            await asyncio.sleep(0.2)


GONE = {"waits": ("Cancelled", "Deleted", True), "held": ("Cancelled", "Deleted", True)}


@pytest.mark.parametrize("program", ["administrator"], indirect=True)
async def test_from_outside(program: tuple[Program, Kubectl], database: Database) -> None:
    _, kubectl = program
    kubectl("delete", "namespace", kubectl.namespace, f"--timeout={WITHIN}s", timeout=WITHIN + 30)
    # Before its Lease, which went too, is overdue; the archive is not behind.
    await _await_rows(database)


@pytest.mark.parametrize("program", ["chart"], indirect=True)
async def test_from_inside(program: tuple[Program, Kubectl], database: Database) -> None:
    """Pods go first, that of the controller too: a pod that is held stands for its grace period."""
    controller, kubectl = program
    # On the way: with the chart's rights, a person is told what hinders a run.
    kubectl.apply(_octo("OctoJob", "orphan", {"providerRef": {"name": "gone"}}))
    eventually(
        lambda: "ProviderNotFound" in kubectl("describe", "octojob", "orphan").rpartition("\nEvents:")[2],
        within=WITHIN,
        what="an Event",
    )
    kubectl("delete", "octojob", "orphan", f"--timeout={WITHIN}s")
    grace: Raw = {"metadata": {"name": "grace", "finalizers": ["octo.dev/test"]}}
    kubectl.create(
        {**grace, "apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "none"}]}}
    )
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")
    eventually(
        lambda: "deletionTimestamp" in kubectl.json("get", "pod", "grace")["metadata"], within=WITHIN, what="a stop"
    )
    assert controller.stop(within=WITHIN) == 0, controller.tail()
    kubectl("patch", "pod", "grace", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("wait", "--for=delete", f"namespace/{kubectl.namespace}", f"--timeout={WITHIN}s", timeout=WITHIN + 30)
    await _await_rows(database)
