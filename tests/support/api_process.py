"""``octo-api`` as a process of its own, over a database and a Kubernetes API that the test has."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import ReservedPort
from tests.support.program import Program


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """A running api."""

    program: Program
    port: int

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def api_process(
    *, database_url: str, kubeconfig: Path, pepper: str, log: Path, **settings: object
) -> AsyncIterator[ApiProcess]:
    """Start one and wait until it serves; it is killed at the end of the block."""
    reserved = ReservedPort()
    port = reserved.number
    environment = {
        "PATH": os.environ["PATH"],
        "OCTO_DATABASE_URL": database_url,
        "OCTO_KUBECONFIG": str(kubeconfig),
        "OCTO_API_KEY_PEPPER": pepper,
        "OCTO_TOKEN_SIGNING_KEY": "s" * 32,
        "OCTO_LISTEN_HOST": "127.0.0.1",
        "OCTO_LISTEN_PORT": str(port),
        **{f"OCTO_{name.upper()}": str(value) for name, value in settings.items()},
    }

    def listening() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    program = Program("octo-api", [sys.executable, "-m", "octo_api"], log=log, ready=listening, environment=environment)
    try:
        # In a thread: the Kubernetes API that it talks to may live in this loop.
        await asyncio.to_thread(program.start)
        yield ApiProcess(program, port)
    finally:
        await asyncio.to_thread(program.kill)
        reserved.release()
