"""The process itself: its commands, and how it starts and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from octo_core.db.migrate import head
from tests.integration.api.conftest import PATIENCE, PEPPER
from tests.support.fake_kube import FakeKube
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.waiting import until


@pytest.fixture
async def environment(postgres: PostgresServer, kube: FakeKube, tmp_path: Path) -> dict[str, str]:
    """Settings for a process with an empty database."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return {
        "PATH": os.environ["PATH"],
        "OCTO_DATABASE_URL": postgres.url(name),
        "OCTO_KUBECONFIG": str(kube.write_kubeconfig(tmp_path / "kubeconfig")),
        "OCTO_API_KEY_PEPPER": PEPPER,
        "OCTO_TOKEN_SIGNING_KEY": "s" * 32,
        "OCTO_LISTEN_HOST": "127.0.0.1",
        "OCTO_LISTEN_PORT": str(free_port()),
    }


async def command(environment: dict[str, str], *arguments: str) -> str:
    """Standard output of a command that succeeds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "octo_api", *arguments, env=environment, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


@pytest.fixture
async def server(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """``octo-api``, once it answers."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "octo_api", env=environment)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{environment['OCTO_LISTEN_PORT']}", timeout=PATIENCE
    ) as client:

        async def serves() -> bool:
            try:
                return (await client.get("/healthz")).status_code == 200
            except httpx.TransportError:
                return False

        await until(serves, what="the server")
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_from_an_empty_database_to_a_run_and_a_clean_end(
    environment: dict[str, str], server: asyncio.subprocess.Process, kube: FakeKube
) -> None:
    url = f"http://127.0.0.1:{environment['OCTO_LISTEN_PORT']}"
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        # It serves before its database is ready, and says so.
        assert "octo-api migrate" in (await client.get("/readyz")).json()["checks"]["database"]
        assert await command(environment, "migrate") == f"schema at version {head()}"
        assert (await client.get("/readyz")).status_code == 200

        key = await command(environment, "create-key", "--subject", "ops", "--scope", "jobs:create", "--expires", "1h")
        client.headers["X-API-Key"] = key
        assert (await client.get("/v1/jobs")).status_code == 403
        assert (await client.post("/v1/jobs", json={"provider": "acme"})).status_code == 202

        other = await command(environment, "create-key", "--subject", "ops", "--scope", "*")
        assert await command(environment, "revoke-key", other) == f"revoked {other[5:17]}"
        assert (await client.get("/v1/jobs", headers={"X-API-Key": other})).status_code == 401

        # Told to end, it finishes the request under way.
        arrived = asyncio.Event()
        kube.delays["POST"] = 1.0
        kube.fault_before = lambda request: arrived.set() if request.method == "POST" else None
        slow = asyncio.create_task(client.post("/v1/jobs", json={"provider": "acme"}))
        await asyncio.wait_for(arrived.wait(), 120)
        server.send_signal(signal.SIGTERM)
        assert (await slow).status_code == 202
    assert await asyncio.wait_for(server.wait(), 120) == 0
    assert len(kube.of_kind("octojobs")) == 2
