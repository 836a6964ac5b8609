"""The api over real connections, in this loop or as a process: what is tested here is how answers go on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.integration.api.conftest import PEPPER, Keys, StartApi
from tests.support.api_process import ApiProcess, api_process
from tests.support.fake_kube import FakeKube

StartProcess = Callable[..., Coroutine[Any, Any, ApiProcess]]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are pytest's."""
        yield


@dataclass(frozen=True, slots=True)
class Served:
    """An application that listens on loopback."""

    app: FastAPI
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


StartServer = Callable[..., Coroutine[Any, Any, Served]]


@asynccontextmanager
async def _listening(app: FastAPI) -> AsyncIterator[Served]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # Now, so that clients wait for the server instead of being refused.
        listener.listen(512)
        server = _Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Served(app, listener.getsockname()[1])
        finally:
            app.state.services.feed.close()
            server.should_exit = True
            await serving


@pytest.fixture
async def start_server(start_api: StartApi) -> AsyncIterator[StartServer]:
    """Starts applications that listen."""
    async with AsyncExitStack() as stack:

        async def start(**settings: object) -> Served:
            return await stack.enter_async_context(_listening((await start_api(**settings)).app))

        yield start


@pytest.fixture
async def start_process(
    database_settings: DatabaseSettings, kube: FakeKube, tmp_path: Path
) -> AsyncIterator[StartProcess]:
    """Starts processes of the api on one database."""
    async with AsyncExitStack() as stack:
        kubeconfig = kube.write_kubeconfig(tmp_path / "kubeconfig")

        async def start(**settings: object) -> ApiProcess:
            return await stack.enter_async_context(
                api_process(
                    database_url=database_settings.database_url.get_secret_value(),
                    kubeconfig=kubeconfig,
                    pepper=PEPPER,
                    log=tmp_path / "api.log",
                    **settings,
                )
            )

        yield start


@pytest.fixture
async def keys(database: Database) -> Keys:
    """Makes API keys of that database."""
    return Keys(database)
