"""An endpoint that webhooks are sent to, and that answers as it is told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answering = Callable[["Received"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def signed_by(self, secret: str) -> bool:
        """Whether one of the signatures is of that secret; as a receiver would check it."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(wanted, given) for given in self.headers["webhook-signature"].split())


async def _accept(_: Received) -> web.StreamResponse:
    return web.Response(status=204)


@dataclass(slots=True)
class Receiver:
    """Listens on loopback."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answer: Answering = _accept

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        got = Received(
            request.path_qs,
            dict((name.lower(), value) for name, value in request.headers.items()),
            await request.read(),
        )
        self.received.append(got)
        return await self.answer(got)

    async def ids(self, count: int, *, within: float = 240) -> list[str]:
        """The ids of what was received, once there are so many different ones."""
        async with asyncio.timeout(within):
            while True:
                if len({got.id for got in self.received}) >= count:
                    break
                await asyncio.sleep(0.05)
        return [got.id for got in self.received]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """One that listens until the end of the block."""
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
