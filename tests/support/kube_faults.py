"""An HTTP proxy before a kube-apiserver that fails like one: cut off, silent, overloaded, forgetful.

It takes plain HTTP on loopback and speaks TLS to the API server; what a client sends goes through as it is, its token
included. Answers are streamed, so watches work.

    with kube_proxy(plane) as proxy:
        config = plane.write_kubeconfig(path, url=proxy.url)
        proxy.cut()                       # connections break, and new ones do
        proxy.heal()
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from tests.support.control_plane import ControlPlane

T = TypeVar("T")
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "content-length", "accept-encoding"})
_STORM = (
    (429, "TooManyRequests", "too many requests, please try again later"),
    (500, "InternalError", "Internal error occurred: injected"),
    (503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    (504, "Timeout", "the server was unable to return a response in time"),
)


class KubeProxy:
    """Faults are set from the test's thread; the proxy lives in one of its own."""

    def __init__(self, target: str, authority: str) -> None:
        self._target = target
        self._context = ssl.create_default_context(cafile=authority)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kube proxy", daemon=True)
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._cut = False
        self._storm = 0.0
        self._rng = random.Random(0)
        self._flowing = asyncio.Event()
        self._gone = 0
        self._open: set[asyncio.Transport] = set()
        self.injected = 0
        self.url = ""

    def cut(self) -> None:
        """Break all connections, and every new one."""

        def cut() -> None:
            self._cut = True
            for transport in list(self._open):
                transport.abort()

        self._do(cut)

    def stall_watches(self) -> None:
        """Watches stay open and tell nothing more; all else works."""
        self._do(self._flowing.clear)

    def storm(self, share: float, seed: int) -> None:
        """Of the requests that are no watches, fail this share: by an error, half of them after they were done."""

        def storm() -> None:
            self._storm, self._rng = share, random.Random(seed)

        self._do(storm)

    def forget(self, times: int) -> None:
        """Answer the next so many watches 410: their resourceVersion is too old."""

        def forget() -> None:
            self._gone = times

        self._do(forget)

    def heal(self) -> None:
        """No fault from now on. Watches that were stalled break, as a connection does that was dead."""

        def heal() -> None:
            stalled = not self._flowing.is_set()
            self._cut, self._storm, self._gone = False, 0.0, 0
            self._flowing.set()
            if stalled:
                for transport in list(self._open):
                    transport.abort()

        self._do(heal)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self._await(self._listen())

    def stop(self) -> None:
        """Break everything off."""
        self._await(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, action: Callable[[], object]) -> None:
        async def do() -> None:
            action()

        self._await(do())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._flowing.set()
        connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        app = web.Application(client_max_size=16 << 20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _shut_down(self) -> None:
        self._flowing.set()
        assert self._runner is not None
        assert self._session is not None
        for transport in list(self._open):
            transport.abort()
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        self._open.add(transport)
        try:
            if self._cut:
                transport.abort()
                return web.Response(status=502)
            return await self._pass(request, transport)
        finally:
            self._open.discard(transport)

    async def _pass(self, request: web.Request, transport: asyncio.Transport) -> web.StreamResponse:
        watch = request.query.get("watch") in ("true", "1")
        if watch and self._gone:
            self._gone -= 1
            self.injected += 1
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
            line = json.dumps({"type": "ERROR", "object": {**status, "message": "too old resource version"}}) + "\n"
            return web.Response(text=line, content_type="application/json")
        hit = not watch and self._rng.random() < self._storm
        late = hit and self._rng.random() < 0.5
        if hit and not late:
            return self._refuse()
        assert self._session is not None
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP}
        body = await request.read()
        answer = web.StreamResponse()
        try:
            async with self._session.request(
                request.method,
                self._target + request.raw_path,
                headers=headers,
                data=body or None,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            ) as origin:
                if late:
                    await origin.read()
                    return self._refuse()
                answer.set_status(origin.status)
                for key, value in origin.headers.items():
                    if key.lower() not in _HOP:
                        answer.headers[key] = value
                await answer.prepare(request)
                async for chunk in origin.content.iter_any():
                    if watch:
                        await self._flowing.wait()
                    await answer.write(chunk)
                await answer.write_eof()
        except (aiohttp.ClientError, OSError):
            # As the client would see it without a proxy: the connection broke, or there is none.
            with suppress(Exception):
                transport.abort()
        return answer

    def _refuse(self) -> web.Response:
        self.injected += 1
        code, reason, message = self._rng.choice(_STORM)
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
        headers = {"Retry-After": "1"} if code == 429 else {}
        return web.json_response({**body, "message": message}, status=code, headers=headers)


@contextmanager
def kube_proxy(plane: ControlPlane) -> Iterator[KubeProxy]:
    """A proxy before a control plane's API server."""
    proxy = KubeProxy(plane.url, str(plane.authority))
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
