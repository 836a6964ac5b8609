"""A source that keeps the end of large files back, so that a test can look at what is under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.sftp import SftpServer
from tests.support.tcp_faults import Fault, How, TcpProxy, proxied

_EVERY = 1000
"""Connections; far more than any worker makes."""


def lead_through(sftp: dict[str, Any], port: int, server: SftpServer) -> None:
    """Change the ``sftp`` part of a provider: the server is reached by another port of this machine."""
    sftp["port"] = port
    sftp["hostKeys"] = [f"[127.0.0.1]:{port} {server.host_key}"]


@contextmanager
def held(sftp: dict[str, Any], server: SftpServer, *, after: int) -> Iterator[TcpProxy]:
    """Lead a provider through a proxy that falls silent once a connection has brought ``after`` bytes.

    ``mend`` and ``resume`` let everything pass.
    """
    with proxied(server.port) as proxy:
        lead_through(sftp, proxy.port, server)
        proxy.break_next(*[Fault(after, how=How.STALL)] * _EVERY)
        yield proxy
