"""All of Octo as processes, each of which may be killed, stopped, cut off and started again.

A control plane, a node, Postgres, two controllers, each behind a proxy of its own, and an api; rights are the chart's.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from octo_core.kube.client import KubeClient
from tests.support.chart_rights import install_rights, token_of
from tests.support.control_plane import ControlPlane, control_plane
from tests.support.kube_faults import KubeProxy, kube_proxy
from tests.support.kubectl import ROOT
from tests.support.node import NODE, Sandbox
from tests.support.ports import ReservedPort
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.program import Program

Raw = dict[str, Any]
NAMESPACE = "octo"
SUPERVISE_SECONDS = 0.3


@dataclass(slots=True)
class Rig:
    """What runs, and where it leaves its traces."""

    folder: Path
    plane: ControlPlane
    postgres: PostgresServer
    node: Program
    controllers: list[Program]
    proxies: list[KubeProxy]
    api: Program
    http: httpx.AsyncClient
    kube: KubeClient
    down: set[str] = field(default_factory=set)
    """Programs that are not to be started again just now."""
    deleted: Counter[str] = field(default_factory=Counter)
    """How often each Job was deleted by a fault."""
    keep: bool = False
    """Whether the folder is left, for who wants to know what happened."""
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def bucket(self) -> Path:
        """Where the workers put their objects."""
        return self.folder / "bucket"

    @property
    def ledger(self) -> Path:
        """What the workers did, a line each time."""
        return self.folder / "ledger"

    @property
    def clock(self) -> Path:
        """The seconds by which the controllers' clocks are off."""
        return self.folder / "clock"

    @property
    def sandboxes(self) -> Path:
        """Where the node keeps its pods' processes."""
        return self.folder / "pods"

    def programs(self) -> Iterator[Program]:
        """Those that are started again when they end, as a kubelet does it."""
        yield from (*self.controllers, self.api, self.node)
        yield from (self.plane.controller_manager, self.plane.apiserver, self.plane.etcd)

    def supervise(self) -> None:
        """Start again what has ended, until the end."""
        while not self._ended.wait(SUPERVISE_SECONDS):
            for program in self.programs():
                if program.name not in self.down and not program.running:
                    with suppress(AssertionError):
                        program.launch()

    def end(self) -> None:
        """Start nothing again."""
        self._ended.set()


@contextmanager
def _programs(folder: Path) -> Iterator[tuple[ControlPlane, PostgresServer, list[KubeProxy], dict[str, Program], str]]:
    with ExitStack() as stack:
        plane_folder = folder / "plane"
        plane_folder.mkdir()
        plane = stack.enter_context(control_plane(plane_folder))
        postgres = stack.enter_context(postgres_server())
        proxies = [stack.enter_context(kube_proxy(plane)) for _ in range(2)]
        ports = [ReservedPort() for _ in range(3)]
        for port in ports:
            stack.callback(port.release)
        plane.install_crds()
        install_rights(plane, NAMESPACE)
        plane.kubectl(NAMESPACE).apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        common = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
            "OCTO_NAMESPACE": NAMESPACE,
            "OCTO_DATABASE_URL": postgres.url("postgres"),
            "OCTO_API_KEY_PEPPER": secrets.token_hex(32),
            "OCTO_TOKEN_SIGNING_KEY": secrets.token_hex(32),
            "OCTO_LISTEN_HOST": "127.0.0.1",
            "OCTO_LISTEN_PORT": str(ports[0].number),
            "OCTO_SWEEP_AFTER_SECONDS": "2",
            "OCTO_SWEEP_INTERVAL_SECONDS": "1",
            "OCTO_HEALTH_HOST": "127.0.0.1",
            "OCTO_WORKER_IMAGE": "none",
            "OCTO_CANCEL_FORCE_AFTER_SECONDS": "3",
            "OCTO_LEASE_DURATION_SECONDS": "6",
            "OCTO_LEASE_RENEW_SECONDS": "4",
            "OCTO_LEASE_RETRY_SECONDS": "0.5",
            "OCTO_TEST_CLOCK": str(folder / "clock"),
        }
        binary = Path(sys.executable).with_name("octo-api")
        config = plane.write_kubeconfig(folder / "api.kubeconfig", token=token_of(plane, NAMESPACE, "octo-api"))
        api_environment = {**common, "OCTO_KUBECONFIG": str(config)}

        def command(*arguments: str) -> str:
            done = subprocess.run(
                [str(binary), *arguments], env=api_environment, capture_output=True, text=True, check=True
            )
            return done.stdout.strip()

        command("migrate")
        key = command("create-key", "--subject", "chaos", "--scope", "*")

        def alive() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{ports[0].number}/healthz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        programs = {
            "api": Program("api", [str(binary)], log=folder / "api.log", ready=alive, environment=api_environment),
            "node": Program(
                "node",
                [
                    *(sys.executable, "-m", "tests.support.node", "--kubeconfig", str(plane.kubeconfig)),
                    *("--namespace", NAMESPACE, "--folder", str(folder / "pods")),
                ],
                log=folder / "node.log",
                environment=common,
            ),
        }
        token = token_of(plane, NAMESPACE, "octo-controller")
        for number, proxy in enumerate(proxies):
            name = f"controller-{number}"
            config = plane.write_kubeconfig(folder / f"{name}.kubeconfig", token=token, url=proxy.url)
            environment = {
                **common,
                "OCTO_KUBECONFIG": str(config),
                "OCTO_HEALTH_PORT": str(ports[1 + number].number),
                "OCTO_IDENTITY": name,
            }
            programs[name] = Program(
                name,
                [sys.executable, "-m", "tests.chaos.stepped_controller"],
                log=folder / f"{name}.log",
                environment=environment,
            )
        for program in programs.values():
            stack.callback(program.kill)
        yield plane, postgres, proxies, programs, key


@asynccontextmanager
async def running_rig() -> AsyncIterator[Rig]:
    """Start all of it. The folder is kept if ``keep`` says so, or if the block fails."""
    folder = Path(tempfile.mkdtemp(prefix="octo-rig-"))
    (folder / "bucket").mkdir()
    (folder / "pods").mkdir()
    (folder / "ledger").touch()
    with _programs(folder) as (plane, postgres, proxies, programs, key):
        assert programs["api"].environment is not None
        port = programs["api"].environment["OCTO_LISTEN_PORT"]
        async with (
            await KubeClient.connect(str(plane.kubeconfig), timeout=15) as kube,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": key}, timeout=15, trust_env=False
            ) as http,
        ):
            rig = Rig(
                folder=folder,
                plane=plane,
                postgres=postgres,
                node=programs["node"],
                controllers=[programs["controller-0"], programs["controller-1"]],
                proxies=proxies,
                api=programs["api"],
                http=http,
                kube=kube,
            )
            for program in programs.values():
                program.launch()
            await asyncio.to_thread(rig.api.wait_ready)
            watcher = threading.Thread(target=rig.supervise, name="supervisor", daemon=True)
            watcher.start()
            try:
                yield rig
            finally:
                rig.end()
                watcher.join(30)
                await asyncio.to_thread(_kill_sandboxes, rig)
    if not rig.keep:
        shutil.rmtree(folder, ignore_errors=True)


def _kill_sandboxes(rig: Rig) -> None:
    rig.node.kill()
    for entry in rig.sandboxes.iterdir():
        Sandbox(entry).signal(signal.SIGKILL)
