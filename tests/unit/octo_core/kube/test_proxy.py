"""The way to the API server: straight, or by the proxy that the environment names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS

HOSTS: list[str] = []


@pytest.fixture
async def proxy() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        HOSTS.append(request.url.host or "")
        return web.json_response({"metadata": {"name": "a"}})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    HOSTS.clear()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_proxy_of_the_environment_is_used(proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", proxy)
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://cluster.example.com:6443"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    async with await KubeClient.connect(str(path)) as client:
        await client.get(JOBS, "octo", "a")
    assert HOSTS == ["cluster.example.com"]
