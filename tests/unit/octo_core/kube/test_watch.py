"""A watch as the client has it, on a real HTTP server that plays the API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from octo_core.domain.errors import ClusterUnavailableError, ForbiddenError
from octo_core.kube.client import METADATA_ONLY, KubeClient
from octo_core.kube.errors import GoneError
from octo_core.kube.resources import JOBS

Raw = dict[str, Any]
EXPIRED = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}


def job(version: int) -> Raw:
    return {"metadata": {"name": "a", "resourceVersion": str(version)}, "spec": {"big": "x" * 70_000}}


class Server:
    """Answers every request with the same events, or with an error."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Raw]] = []
        self.status = 200
        self.cut = False
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append({**request.query, "accept": request.headers["Accept"]})
        if self.status != 200:
            return web.json_response({**EXPIRED, "code": self.status}, status=self.status)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for kind, raw in self.events:
            await response.write(json.dumps({"type": kind, "object": raw}).encode() + b"\n")
        if self.cut:
            await response.write(b'{"type": "MODIFIED", "obj')
            assert request.transport is not None
            request.transport.close()
        return response


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server, tmp_path: Path) -> AsyncIterator[KubeClient]:
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    async with await KubeClient.connect(str(path)) as client:
        yield client
    await runner.cleanup()


async def told(client: KubeClient, **query: Any) -> list[tuple[str, str]]:
    return [
        (kind, raw["metadata"]["resourceVersion"]) async for kind, raw in client.watch(JOBS, "octo", since=7, **query)
    ]


async def test_events_come_as_they_are_and_the_stream_ends(client: KubeClient, server: Server) -> None:
    bookmark = {"kind": "Job", "metadata": {"resourceVersion": "12"}}
    server.events = [("ADDED", job(8)), ("MODIFIED", job(9)), ("DELETED", job(10)), ("BOOKMARK", bookmark)]
    assert await told(client, label_selector="a,!b") == [
        ("ADDED", "8"),
        ("MODIFIED", "9"),
        ("DELETED", "10"),
        ("BOOKMARK", "12"),
    ]
    (asked,) = server.asked
    assert asked["watch"] == asked["allowWatchBookmarks"] == "true"
    assert (asked["resourceVersion"], asked["labelSelector"]) == ("7", "a,!b")
    assert asked["accept"] == "application/json"


async def test_metadata_alone_can_be_asked_for(client: KubeClient, server: Server) -> None:
    assert await told(client, metadata_only=True) == []
    assert server.asked[0]["accept"] == METADATA_ONLY


async def test_a_version_that_is_too_old_is_told_apart(client: KubeClient, server: Server) -> None:
    server.events = [("ADDED", job(8)), ("ERROR", EXPIRED)]
    with pytest.raises(GoneError):
        await told(client)
    server.status = 410
    with pytest.raises(GoneError):
        await told(client)


async def test_other_errors_are_those_of_every_request(client: KubeClient, server: Server) -> None:
    server.status = 403
    with pytest.raises(ForbiddenError):
        await told(client)
    server.status, server.events = 200, [("ERROR", {**EXPIRED, "code": 500})]
    with pytest.raises(ClusterUnavailableError):
        await told(client)


async def test_a_stream_that_breaks_in_an_event_says_so(client: KubeClient, server: Server) -> None:
    server.events, server.cut = [("ADDED", job(8))], True
    with pytest.raises(ClusterUnavailableError):
        await told(client)
