"""The api's event loop, where a connection to Kubernetes breaks off between TCP and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.aio.client import Configuration
from pydantic import SecretStr

from octo_api.__main__ import server_of
from octo_api.server.loop import Loop
from octo_api.settings import ApiSettings
from octo_core.domain.errors import ClusterUnavailableError
from octo_core.kube.client import KubeClient

_RESET = struct.pack("ii", 1, 0)


class CuttingLoop(Loop):
    """Resets each connection from the other end as soon as it is there, as an API server that is killed does."""

    def __init__(self, listener: socket.socket) -> None:
        super().__init__()
        self.listener = listener
        self.connected: list[socket.socket] = []

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        await super().sock_connect(sock, address)
        self.connected.append(sock)
        peer, _ = self.listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        peer.close()


@pytest.fixture
def cutting() -> Iterator[CuttingLoop]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop = CuttingLoop(listener)
        yield loop
        loop.close()


def test_a_socket_that_is_given_is_nobody_elses(cutting: CuttingLoop) -> None:
    async def cut_off() -> None:
        sock = socket.socket()
        sock.setblocking(False)
        await cutting.sock_connect(sock, cutting.listener.getsockname())
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            await cutting.create_connection(
                asyncio.Protocol, sock=sock, ssl=ssl.create_default_context(), server_hostname="kubernetes"
            )
        # Its number is free: whoever gets it next would lose their connection when this object is collected.
        assert sock.fileno() == -1

    cutting.run_until_complete(cut_off())


def test_a_cancelled_connection_is_closed_once(cutting: CuttingLoop) -> None:
    async def cancel() -> None:
        sock = socket.create_connection(cutting.listener.getsockname())
        made = asyncio.ensure_future(
            cutting.create_connection(
                asyncio.Protocol, sock=sock, ssl=ssl.create_default_context(), server_hostname="kubernetes"
            )
        )
        # Until it waits for an answer to its hello.
        peer, _ = cutting.listener.accept()
        peer.setblocking(False)
        with peer:
            assert await cutting.sock_recv(peer, 1)
            made.cancel()
            with pytest.raises(asyncio.CancelledError):
                await made
            assert sock.fileno() == -1
            # The descriptor is closed all the same: the other end sees the end.
            while await cutting.sock_recv(peer, 65_536):
                pass

    cutting.run_until_complete(cancel())


def test_the_client_of_kubernetes_connects_in_this_way(cutting: CuttingLoop) -> None:
    configuration = Configuration()
    configuration.host = f"https://127.0.0.1:{cutting.listener.getsockname()[1]}"

    async def ask() -> None:
        async with KubeClient(configuration) as kube:
            with pytest.raises(ClusterUnavailableError):
                await kube.ready()

    cutting.run_until_complete(ask())
    assert [sock.fileno() for sock in cutting.connected] == [-1]


def test_the_api_runs_on_it() -> None:
    settings = ApiSettings(
        database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"),
        api_key_pepper=SecretStr("p" * 32),
        token_signing_key=SecretStr("s" * 32),
    )
    assert server_of(settings).config.get_loop_factory() is Loop
