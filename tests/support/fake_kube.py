"""A small Kubernetes API over real HTTP: objects, versions, preconditions, finalizers, and faults on demand.

For tests of what Octo asks of the API server and how it takes the answers; schemas, CEL and RBAC are tested on
a real one.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

Raw = dict[str, Any]
Fault = Callable[[web.Request], int | None]
"""Asked before each request: a status to answer instead, 0 to cut the connection, None to go on."""


def status_body(code: int, reason: str, message: str) -> Raw:
    """A metav1.Status."""
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}


def refuse(code: int, reason: str, message: str) -> web.Response:
    """A failed answer."""
    return web.json_response(status_body(code, reason, message), status=code)


@dataclass(slots=True)
class FakeKube:
    """State of the fake; tests read and change it directly."""

    objects: dict[str, Raw] = field(default_factory=dict)
    """By path, such as ``/apis/octo.dev/v1alpha1/namespaces/octo/octojobs/x``."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: dict[str, Raw] = field(default_factory=dict)
    """TokenReview status by token."""
    fault_before: Fault | None = None
    fault_after: Fault | None = None
    """As ``fault_before``, but the request has been done: its answer is lost."""
    invalid: list[Raw] = field(default_factory=list)
    """Causes to refuse what is created or written whole with, as the API server's validation does."""
    delays: dict[str, float] = field(default_factory=dict)
    """Seconds to wait before an answer, by method."""
    logs: dict[str, str] = field(default_factory=dict)
    """Lines with timestamps, by the path of the pod."""
    time: str = "2026-01-02T03:04:05Z"
    """When what is put was created, unless it says so itself."""
    version: int = 1000
    url: str = ""

    def put(self, path: str, body: Raw) -> Raw:
        """Store an object as it is, with a uid and a new resourceVersion."""
        *_, name = path.split("/")
        self.version += 1
        stored = deepcopy(body)
        meta = stored.setdefault("metadata", {})
        meta.setdefault("name", name)
        if "/namespaces/" in path:
            meta.setdefault("namespace", path.split("/namespaces/")[1].split("/")[0])
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", self.time)
        meta["resourceVersion"] = str(self.version)
        self.objects[path] = stored
        return stored

    def of_kind(self, plural: str) -> list[Raw]:
        """All objects of a kind."""
        return [value for path, value in self.objects.items() if path.split("/")[-2] == plural]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        early = _fail(self.fault_before, request)
        if early is not None:
            return early
        await asyncio.sleep(self.delays.get(request.method, 0))
        answer = await self._answer(request)
        late = _fail(self.fault_after, request)
        return late if late is not None else answer

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.path.rstrip("/")
        if path == "/version":
            return web.json_response({"major": "1", "minor": "34"})
        body = json.loads(await request.read() or b"{}")
        if path.endswith("/tokenreviews"):
            return web.json_response({**body, "status": self.tokens.get(body["spec"]["token"], {})}, status=201)
        dry_run = "dryRun" in request.query
        if self.invalid and request.method in ("POST", "PUT"):
            status = {**status_body(422, "Invalid", "the object is invalid"), "details": {"causes": self.invalid}}
            return web.json_response(status, status=422)
        if request.method == "POST":
            return self._create(path, body, dry_run=dry_run)
        # /…/namespaces/<namespace>/<plural> is a list, one more part names an object.
        if request.method == "GET" and path.rpartition("/namespaces/")[2].count("/") == 1:
            return self._list(path, request)
        if path.endswith("/log") and (pod := path.removesuffix("/log")) in self.objects:
            return web.Response(body=_log(self.logs.get(pod, ""), request), content_type="text/plain")
        subresource = "/status" if path.endswith("/status") else ""
        path = path.removesuffix("/status")
        if path not in self.objects:
            return refuse(404, "NotFound", f"{path.split('/')[-2]} {path.split('/')[-1]!r} not found")
        if request.method == "PATCH":
            return self._patch(path, body, status=bool(subresource))
        if request.method == "PUT":
            return self._put(path, body, dry_run=dry_run)
        if request.method == "DELETE":
            return self._delete(path, body)
        return web.json_response(self.objects[path])

    def _create(self, path: str, body: Raw, *, dry_run: bool) -> web.Response:
        path = f"{path}/{body['metadata']['name']}"
        if path in self.objects:
            return refuse(409, "AlreadyExists", f"{path} already exists")
        made = self.put(path, body)
        if dry_run:
            del self.objects[path]
        return web.json_response(made, status=201)

    def _list(self, path: str, request: web.Request) -> web.Response:
        prefix = path + "/"
        found = [value for key, value in sorted(self.objects.items()) if key.startswith(prefix)]
        for term in filter(None, request.query.get("labelSelector", "").split(",")):
            key, equals, wanted = term.partition("=")
            labels = [each["metadata"].get("labels", {}).get(key) for each in found]
            found = [e for e, label in zip(found, labels, strict=True) if (label == wanted if equals else label)]
        for term in filter(None, request.query.get("fieldSelector", "").split(",")):
            path_, _, wanted = term.partition("=")
            found = [each for each in found if _field(each, path_) == wanted]
        start = int(request.query.get("continue", "0"))
        end = start + int(request.query.get("limit", "500"))
        meta = {"resourceVersion": str(self.version), "continue": str(end) if end < len(found) else ""}
        return web.json_response({"kind": "List", "metadata": meta, "items": found[start:end]})

    def _put(self, path: str, body: Raw, *, dry_run: bool) -> web.Response:
        current = self.objects[path]
        if body["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"]:
            return refuse(409, "Conflict", "resourceVersion differs")
        written = self.put(path, body)
        if dry_run:
            self.objects[path] = current
        return web.json_response(written)

    def _patch(self, path: str, body: Raw, *, status: bool) -> web.Response:
        current = self.objects[path]
        for key in ("uid", "resourceVersion"):
            wanted = body.get("metadata", {}).get(key)
            if wanted is not None and wanted != current["metadata"][key]:
                return refuse(409, "Conflict", f"{key} differs")
        keep = "status" if status else "spec"
        given = {keep: body[keep]} if keep in body else {}
        labels = body.get("metadata", {}).get("labels")
        merged = _merge(current, given | ({"metadata": {"labels": labels}} if labels else {}))
        return web.json_response(self.put(path, merged))

    def _delete(self, path: str, body: Raw) -> web.Response:
        current = self.objects[path]
        for key, wanted in body.get("preconditions", {}).items():
            if wanted != current["metadata"][key]:
                return refuse(409, "Conflict", f"{key} differs")
        if current["metadata"].get("finalizers"):
            current["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:06Z"
            self.put(path, current)
        else:
            del self.objects[path]
        return web.json_response({"kind": "Status", "status": "Success"})

    def write_kubeconfig(self, path: Path) -> Path:
        """A kubeconfig that leads here."""
        named = {"name": "fake"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{**named, "cluster": {"server": self.url}}],
            "users": [{**named, "user": {"token": "test"}}],
            "contexts": [{**named, "context": {"cluster": "fake", "user": "fake"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path


@asynccontextmanager
async def fake_kube() -> AsyncIterator[FakeKube]:
    """A fake that listens on loopback until the end of the block."""
    fake = FakeKube()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


def _fail(fault: Fault | None, request: web.Request) -> web.Response | None:
    code = fault(request) if fault is not None else None
    if code is None:
        return None
    if code == 0:
        assert request.transport is not None
        request.transport.abort()
        code = 500
    return refuse(code, {403: "Forbidden", 422: "Invalid"}.get(code, "InternalError"), "injected")


def _log(text: str, request: web.Request) -> bytes:
    """As a kubelet gives it: from a time on, of that the last lines, of those the first bytes."""
    lines = text.splitlines(keepends=True)
    since = request.query.get("sinceTime", "").removesuffix("Z")
    lines = [line for line in lines if line >= since]
    if "tailLines" in request.query:
        lines = lines[-int(request.query["tailLines"]) :]
    return "".join(lines).encode()[: int(request.query.get("limitBytes", len(text) * 4))]


def _field(raw: Any, path: str) -> Any:
    for part in path.split("."):
        raw = raw.get(part, {})
    return raw


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = _merge(out.get(key), value)
    return out
