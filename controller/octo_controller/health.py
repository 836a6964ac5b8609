"""The port that the kubelet and Prometheus ask: alive, ready, and how it goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web

from octo_controller.metrics import Metrics

logger = logging.getLogger(__name__)

LAG_INTERVAL = 0.5
Check = Callable[[], str | None]
"""Says what is wrong, or None."""


class LoopLag:
    """How late the event loop runs its timers. ``beat`` is called each time that it does."""

    def __init__(self, beat: Callable[[], None] = lambda: None) -> None:
        self.seconds = 0.0
        self._beat = beat

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL
            await asyncio.sleep(LAG_INTERVAL)
            self.seconds = max(0.0, loop.time() - due)
            self._beat()


def health_app(metrics: Metrics, *, live: dict[str, Check], ready: dict[str, Check]) -> web.Application:
    """``/livez`` and ``/readyz`` answer 503 with what is wrong; ``/metrics`` is Prometheus' text."""

    def probe(checks: dict[str, Check]) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            wrong = {name: said for name, check in checks.items() if (said := check()) is not None}
            return web.json_response({"status": "fail" if wrong else "ok", **wrong}, status=503 if wrong else 200)

        return answer

    async def render(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.router.add_get("/livez", probe(live))  # type: ignore[arg-type]
    app.router.add_get("/readyz", probe(ready))  # type: ignore[arg-type]
    app.router.add_get("/metrics", render)
    return app


class HealthServer:
    """Serves an application while inside ``async with``; ``port`` is the one really taken."""

    def __init__(self, app: web.Application, *, host: str, port: int) -> None:
        self._runner = web.AppRunner(app, access_log=None)
        self._host = host
        self.port = port

    async def __aenter__(self) -> HealthServer:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
