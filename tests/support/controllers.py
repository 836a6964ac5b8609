"""Controllers as processes, with the rights that the chart gives them, on a bare control plane and a real Postgres."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.control_plane import ControlPlane
from tests.support.kubectl import ROOT, Kubectl, environment, eventually
from tests.support.ports import ReservedPort
from tests.support.program import Program

Raw = dict[str, Any]
LEASE = "octo-controller-0"
IMAGE = "registry.invalid/worker:1"


@dataclass(slots=True)
class Replica:
    """One controller process."""

    program: Program
    identity: str
    health_port: int

    def probe(self, path: str) -> int:
        """The HTTP status of ``livez``, ``readyz`` or ``metrics``; 0 without an answer."""
        return self._get(path)[0]

    def metric(self, name: str) -> float:
        """A gauge or counter without labels; -1 without an answer."""
        for line in self._get("metrics")[1].splitlines():
            if line.startswith(f"octo_controller_{name} "):
                return float(line.split()[1])
        return -1.0

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""


@dataclass(slots=True)
class Site:
    """A namespace of a control plane in which controllers run."""

    plane: ControlPlane
    kubectl: Kubectl
    database_url: str
    folder: Path
    token: str
    _replicas: list[Replica] = field(default_factory=list)
    _ports: list[ReservedPort] = field(default_factory=list)

    def controller(self, name: str, *, url: str | None = None, **settings: object) -> Replica:
        """A controller that is not started yet. ``url`` is another way to the API server; settings are ``OCTO_…``."""
        port = ReservedPort()
        self._ports.append(port)
        kubeconfig = self.plane.write_kubeconfig(self.folder / f"{name}.kubeconfig", token=self.token, url=url)
        identity = f"{name}_{secrets.token_hex(4)}"
        values: dict[str, object] = {
            "kubeconfig": kubeconfig,
            "namespace": self.kubectl.namespace,
            "database_url": self.database_url,
            "worker_image": IMAGE,
            "health_host": "127.0.0.1",
            "health_port": port.number,
            "identity": identity,
            # Room for a machine that is busy with other tests.
            "lease_duration_seconds": 20,
            "lease_renew_seconds": 15,
            "lease_retry_seconds": 1,
            **settings,
        }
        replica = Replica(
            Program(
                name,
                [str(Path(sys.executable).with_name("octo-controller"))],
                log=self.folder / f"{name}.log",
                ready=lambda: replica.probe("readyz") == 200,
                environment={
                    "PATH": os.environ["PATH"],
                    **{f"OCTO_{key.upper()}": str(value) for key, value in values.items()},
                },
            ),
            identity,
            port.number,
        )
        self._replicas.append(replica)
        return replica

    def holder(self, lease: str = LEASE) -> str:
        """Who holds the Lease; empty if nobody does."""
        return self.kubectl("get", "lease", lease, "--ignore-not-found", "-o", "jsonpath={.spec.holderIdentity}")

    def provider(self, name: str, **spec: Any) -> None:
        """An OctoProvider that runs a container of one's own."""
        container = {"container": {"image": IMAGE}}
        self.kubectl.create({**_typed("OctoProvider", name), "spec": {**container, **spec}})

    def run(self, name: str, provider: str, **spec: Any) -> None:
        """An OctoJob that looks at nobody else's turn."""
        alone = {"providerRef": {"name": provider}, "concurrency": {"policy": "Allow"}}
        self.kubectl.create({**_typed("OctoJob", name), "spec": {**alone, **spec}})

    def state(self, name: str) -> str:
        """Of an OctoJob; empty before the first visit."""
        return self.kubectl("get", "octojob", name, "-o", "jsonpath={.status.state}")

    def wait_for_job(self, name: str) -> None:
        """Return once the first attempt of an OctoJob has its Job."""
        eventually(lambda: self.kubectl.exists("job", f"{name}-1"), what=f"the Job of {name}")

    def wait_for_state(self, name: str, state: str) -> None:
        """Return once an OctoJob is in a state."""
        eventually(lambda: self.state(name) == state, what=f"{name} in {state}")

    def jobs_made(self) -> Counter[str]:
        """How often each Job was created here, deleted since or not."""
        return Counter(self.plane.created(f"jobs/{self.kubectl.namespace}/"))

    def versions(self) -> dict[str, str]:
        """resourceVersion of all that a controller writes, but for its Lease and Events."""
        found = self.kubectl.json("get", "octojobs,octoproviders,jobs")["items"]
        return {f"{raw['kind']}/{raw['metadata']['name']}": raw["metadata"]["resourceVersion"] for raw in found}

    def close(self) -> None:
        """End all controllers."""
        for replica in self._replicas:
            replica.program.kill()
        for port in self._ports:
            port.release()


def _typed(kind: str, name: str) -> Raw:
    return {"apiVersion": "octo.dev/v1alpha1", "kind": kind, "metadata": {"name": name}}


@contextmanager
def site(plane: ControlPlane, database_url: str, folder: Path, *, namespace: str = "") -> Iterator[Site]:
    """A fresh namespace, with the chart's rights for the controller."""
    namespace = namespace or f"octo-{secrets.token_hex(4)}"
    kubectl = plane.kubectl(namespace)
    kubectl("create", "namespace", namespace)
    kubectl.apply(*_rights(namespace))
    token = kubectl("create", "token", "octo-controller", "--duration=8h").strip()
    made = Site(plane, kubectl, database_url, folder, token)
    try:
        yield made
    finally:
        made.close()


def _rights(namespace: str) -> list[Raw]:
    chart = ROOT / "charts" / "octo"
    command = ["helm", "template", "octo", str(chart), "--namespace", namespace]
    values = ["--set", "postgres.embedded.enabled=true", "--show-only", "templates/rbac.yaml"]
    done = subprocess.run([*command, *values], env=environment(), capture_output=True, text=True, check=True)
    objects = [raw for raw in yaml.safe_load_all(done.stdout) if raw]
    return [raw for raw in objects if not raw["kind"].startswith("Cluster")]
