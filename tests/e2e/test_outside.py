"""api and controller outside the cluster: a kubeconfig and a Postgres URL are all they need."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.support.kubectl import KUBECONFIG, ROOT, Kubectl, eventually
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.release import image_tag

NAMESPACE = "octo-outside"


@pytest.fixture
def kubectl(cluster: None) -> Iterator[Kubectl]:
    wide = Kubectl("default")
    wide("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    if wide.exists("namespace", NAMESPACE):
        wide("delete", "namespace", NAMESPACE, "--timeout=240s", timeout=260)
    wide("create", "namespace", NAMESPACE)
    kubectl = Kubectl(NAMESPACE)
    kubectl("create", "serviceaccount", "octo-worker")
    yield kubectl
    wide("delete", "namespace", NAMESPACE, "--wait=false")


@contextmanager
def process(name: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        started = subprocess.Popen([str(Path(sys.executable).with_name(name))], env=environment, stderr=output)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(timeout=60)


async def test_a_run_driven_from_outside(kubectl: Kubectl, postgres: PostgresServer, tmp_path: Path) -> None:
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute("DROP DATABASE IF EXISTS outside")
    await connection.execute("CREATE DATABASE outside")
    await connection.close()
    api_port, health_port = free_port(), free_port()
    image = f"octo/demo:{image_tag()}"
    environment = {
        "PATH": os.environ["PATH"],
        "OCTO_KUBECONFIG": str(KUBECONFIG),
        "OCTO_NAMESPACE": NAMESPACE,
        "OCTO_DATABASE_URL": postgres.url("outside"),
        "OCTO_API_KEY_PEPPER": secrets.token_hex(32),
        "OCTO_TOKEN_SIGNING_KEY": secrets.token_hex(32),
        "OCTO_LISTEN_HOST": "127.0.0.1",
        "OCTO_LISTEN_PORT": str(api_port),
        "OCTO_HEALTH_HOST": "127.0.0.1",
        "OCTO_HEALTH_PORT": str(health_port),
        "OCTO_WORKER_IMAGE": image,
    }

    def octo_api(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("octo-api")), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    octo_api("migrate")
    key = octo_api("create-key", "--subject", "test", "--scope", "*")
    kubectl.apply(
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoProvider",
            "metadata": {"name": "hello"},
            "spec": {"container": {"image": image, "command": ["echo", "hello"]}},
        }
    )
    with ExitStack() as stack:
        stack.enter_context(process("octo-api", environment, tmp_path / "api.log"))
        controller = stack.enter_context(process("octo-controller", environment, tmp_path / "controller.log"))
        client = stack.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{api_port}", headers={"X-API-Key": key}, timeout=120)
        )

        def ready() -> bool:
            try:
                return client.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        eventually(ready, within=240, what="the api ready")
        answer = client.post("/v1/providers/hello/jobs", json={})
        assert answer.status_code == 202, answer.text
        location = answer.headers["Location"]
        ended = eventually(
            lambda: (job := client.get(location).json())["state"] in ("Succeeded", "Failed") and job, within=240
        )
        assert ended
        assert ended["state"] == "Succeeded", ended
        assert client.get(f"{location}/files").json()["items"] == []
        assert client.delete(location).status_code == 202
        eventually(lambda: client.get(location).json()["deletedAt"], within=240, what="the OctoJob archived and gone")
        assert controller.poll() is None
    assert controller.returncode == 0, (tmp_path / "controller.log").read_text()[-2000:]
