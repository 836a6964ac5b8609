"""kopf as the door: tuned to watch and nothing else, on a real HTTP server that plays the API."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
from pathlib import Path
from typing import Any

import kopf
import pytest
from aiohttp import web

from octo_controller.watch.door import Door
from octo_controller.watch.handlers import register
from octo_controller.watch.login import read_kubeconfig
from octo_controller.watch.tuning import EndlessBackoffs, tuned

Raw = dict[str, Any]


def test_kopf_is_told_to_do_nothing_but_watch() -> None:
    settings = tuned()
    assert not settings.posting.enabled
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert settings.queueing.worker_limit is None
    assert settings.queueing.idle_timeout == 1
    assert settings.watching.initial_streaming is False
    assert settings.watching.chunk_size == 500
    assert settings.watching.inactivity_timeout == 70
    assert str(settings.watching.server_timeout) == "600", "the API server refuses 600.0"
    storage = settings.persistence.diffbase_storage
    body: Any = {"metadata": {}, "spec": {"a": 1}}
    assert storage.build(body=body) == {}


def test_an_api_server_that_is_away_does_not_end_the_watch() -> None:
    delays = list(itertools.islice(EndlessBackoffs(), 1000))
    assert max(delays) <= 30
    assert min(delays[10:]) >= 15


def test_only_event_handlers_are_registered() -> None:
    registry = kopf.OperatorRegistry()
    register(registry, lambda kind, raw, gone: None)
    assert len(registry._watching.get_all_handlers()) == 2
    assert not registry._changing.get_all_handlers()
    assert not registry._spawning.get_all_handlers()
    assert not registry._indexing.get_all_handlers()


async def test_nothing_escapes_a_handler_and_nothing_is_returned() -> None:
    class Fatal(BaseException):
        pass

    def sink(kind: str, raw: Raw, gone: bool) -> None:
        raise Fatal

    registry = kopf.OperatorRegistry()
    register(registry, sink)
    for handler in registry._watching.get_all_handlers():
        function: Any = handler.fn
        assert await function(event={"type": "ADDED", "object": {}}) is None


def test_a_kubeconfig_is_read_with_its_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://h:6443", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    info = read_kubeconfig(str(path))
    assert (info.server, info.token, info.ca_path) == ("https://h:6443", "abc", str(tmp_path / "ca.crt"))


class ApiServer:
    """Serves discovery, lists and watches of kopf's kinds, and remembers what was asked."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.asked: list[str] = []
        self.methods: set[str] = set()
        self._refuse = refuse
        self._resources = {
            "/apis/octo.dev/v1alpha1": [("octojobs", "OctoJob"), ("octoproviders", "OctoProvider")],
            "/apis/batch/v1": [("jobs", "Job")],
            "/api/v1": [("namespaces", "Namespace"), ("events", "Event")],
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.methods.add(request.method)
        path = request.path
        if path == "/api":
            return web.json_response({"versions": ["v1"]})
        if path == "/apis":
            groups = [("octo.dev", "v1alpha1"), ("batch", "v1")]
            versions = [(name, {"version": v, "groupVersion": f"{name}/{v}"}) for name, v in groups]
            return web.json_response(
                {"groups": [{"name": name, "versions": [v], "preferredVersion": v} for name, v in versions]}
            )
        if path in self._resources:
            verbs = ["get", "list", "watch", "patch"]
            return web.json_response(
                {
                    "resources": [
                        {"name": name, "kind": kind, "namespaced": True, "singularName": "", "verbs": verbs}
                        for name, kind in self._resources[path]
                    ]
                }
            )
        self.asked.append(request.path_qs)
        if self._refuse:
            return web.json_response({"kind": "Status", "code": 400, "message": "no"}, status=400)
        plural = path.rsplit("/", 1)[1]
        listed = {"metadata": {"name": plural, "namespace": "octo", "uid": f"u-{plural}", "resourceVersion": "5"}}
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "5"}, "items": [listed]})
        response = web.StreamResponse()
        await response.prepare(request)
        gone = {"metadata": {**listed["metadata"], "resourceVersion": "9"}}
        await response.write(json.dumps({"type": "DELETED", "object": gone}).encode() + b"\n")
        await asyncio.sleep(30)
        return response


async def serve(server: ApiServer, folder: Path) -> tuple[web.AppRunner, str]:
    """Start it; the runner and a kubeconfig for it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return runner, str(path)


async def test_lists_and_deletes_reach_the_sink_in_its_own_loop(tmp_path: Path) -> None:
    server = ApiServer()
    runner, kubeconfig = await serve(server, tmp_path)
    seen: list[tuple[str, str, bool]] = []
    home = asyncio.get_running_loop()
    enough = asyncio.Event()

    def sink(kind: str, raw: Raw, gone: bool) -> None:
        assert asyncio.get_running_loop() is home
        seen.append((kind, raw["metadata"]["resourceVersion"], gone))
        if len(seen) >= 4:
            enough.set()

    door = Door(sink, namespace="octo", kubeconfig=kubeconfig, on_exit=lambda: pytest.fail("kopf ended"))
    door.open()
    try:
        async with asyncio.timeout(240):
            await enough.wait()
    finally:
        await door.close()
        await runner.cleanup()
    assert sorted(seen) == sorted(
        (kind, version, gone) for kind in ("OctoJob", "OctoProvider") for version, gone in (("5", False), ("9", True))
    )
    assert server.methods == {"GET"}, "kopf writes nothing"
    assert not any("/jobs?" in query for query in server.asked), "the Jobs have a watch of their own"
    assert not any("/pods" in query for query in server.asked)


async def test_when_kopf_ends_by_itself_the_process_learns_of_it(tmp_path: Path) -> None:
    logging.disable(logging.CRITICAL)
    runner, kubeconfig = await serve(ApiServer(refuse=True), tmp_path)
    ended = asyncio.Event()
    door = Door(lambda kind, raw, gone: None, namespace="octo", kubeconfig=kubeconfig, on_exit=ended.set)
    door.open()
    try:
        async with asyncio.timeout(240):
            await ended.wait()
    finally:
        await door.close()
        await runner.cleanup()
        # kopf leaves failed tasks behind, which log when they are collected. In the middle of a parse, as
        # when pytest imports a module, that breaks CPython 3.11 (gh-106905); so now, and with no log records
        # that hold them.
        gc.collect()
        logging.disable(logging.NOTSET)
