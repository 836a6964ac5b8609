"""The api over real connections, in this loop or as a process: what is tested here is how answers go on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from tests.integration.api.conftest import StartApi


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
