"""TCP ports of the servers that tests start."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class ReservedPort:
    """A TCP port on loopback that stays one server's over its restarts: held by a socket that never listens.

    The server must set SO_REUSEADDR, as those in Go and asyncio do, and Postgres.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give the port back."""
        self._socket.close()


def wait_until_listening(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once the server takes connections; fail with the end of its log if it ends or takes too long."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{name} did not start: {log.read_text()[-2000:] if log.exists() else ''}")
            time.sleep(0.05)
        else:
            return
