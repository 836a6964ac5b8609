"""Each route × each kind of credential × scope × namespace, as the OpenAPI document has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

from octo_api.auth.bindings import Binding
from octo_api.auth.caller import Scope
from octo_api.auth.credentials import new_key
from octo_api.routing.base import SCOPE_EXTENSION
from octo_core.db import api_keys
from octo_core.db.session import Database
from tests.integration.api.auth.tokens import service_account_token
from tests.integration.api.conftest import Api, StartApi
from tests.support.fake_kube import FakeKube


@dataclass(frozen=True, slots=True)
class Route:
    """A guarded operation, ready to be asked for."""

    method: str
    path: str
    scope: str | None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def _slug(scope: str) -> str:
    return scope.replace(":", "-")


async def _routes(api: Api, ids: dict[str, str]) -> list[Route]:
    paths = (await api.client(None).get("/openapi.json")).json()["paths"]
    return [
        Route(method.upper(), re.sub(r"{(\w+)}", lambda found: ids.get(found[1], "x"), path), op.get(SCOPE_EXTENSION))
        for path, operations in paths.items()
        for method, op in operations.items()
        if {"ApiKey", "Token"} <= {scheme for entry in op.get("security", ()) for scheme in entry}
    ]


async def _ask(client: httpx.AsyncClient, route: Route) -> httpx.Response:
    return await client.request(route.method, route.path, json={} if route.method in ("POST", "PUT", "PATCH") else None)


def _bearer(api: Api, token: str) -> httpx.AsyncClient:
    return api.client(None, Authorization=f"Bearer {token}")


async def _login(api: Api, client: httpx.AsyncClient) -> httpx.AsyncClient:
    return _bearer(api, (await client.post("/v1/auth/login")).json()["accessToken"])


async def test_bad_credentials_open_no_route(start_api: StartApi, kube: FakeKube, database: Database) -> None:
    api = await start_api(failed_logins_per_minute=0, credential_cache_seconds=0)
    good, revoked = await api.keys.make(), await api.keys.make()
    expired = await api.keys.make(expires_at=datetime.now(UTC) - timedelta(hours=1))
    dead_token = await _login(api, api.client(revoked))
    async with database.transaction() as session:
        await api_keys.revoke(session, revoked.id, now=datetime.now(UTC))
    wrong = good.text[:-1] + ("A" if good.text[-1] != "A" else "B")
    credentials = {
        "none": api.client(None),
        "malformed": api.client(None, **{"X-API-Key": "octo_x_y"}),
        "unknown": api.client(new_key(b"z" * 40)),
        "wrong secret": api.client(None, **{"X-API-Key": wrong}),
        "expired": api.client(expired),
        "revoked": api.client(revoked),
        "key as token": _bearer(api, good.text),
        "token of a revoked key": dead_token,
        "ServiceAccount unknown to the cluster": _bearer(api, service_account_token("ci", "unknown")),
    }
    routes = await _routes(api, {})
    assert len(routes) > 20
    before = len(kube.of_kind("octojobs"))
    for route in routes:
        for kind, client in credentials.items():
            assert (await _ask(client, route)).status_code == 401, (route.name, kind)
    assert len(kube.of_kind("octojobs")) == before


async def test_each_scope_opens_its_routes_and_no_others(start_api: StartApi, kube: FakeKube) -> None:
    bindings = [
        binding
        for scope in Scope
        for binding in (
            Binding(users=(f"system:serviceaccount:ci:only-{_slug(scope)}",), scopes=(scope,), namespaces=("*",)),
            Binding(
                users=(f"system:serviceaccount:ci:all-but-{_slug(scope)}",),
                scopes=tuple(other for other in Scope if other is not scope),
                namespaces=("*",),
            ),
        )
    ]
    api = await start_api(auth_bindings=tuple(bindings), failed_logins_per_minute=0)

    def account(name: str) -> httpx.AsyncClient:
        token = service_account_token("ci", name)
        kube.tokens[token] = {
            "authenticated": True,
            "audiences": ["octo"],
            "user": {"username": f"system:serviceaccount:ci:{name}", "groups": [], "uid": name},
        }
        return _bearer(api, token)

    routes = await _routes(api, {"uid": "00000000-0000-0000-0000-000000000000"})
    by_scope = {scope: [route for route in routes if route.scope == scope] for scope in Scope}
    for scope, opened in by_scope.items():
        with_it = api.client(await api.keys.make(scope))
        without = api.client(await api.keys.make(*(other for other in Scope if other is not scope)))
        wide: dict[str, httpx.AsyncClient] = {"key": with_it, "account": account(f"only-{_slug(scope)}")}
        narrow = {
            "key": without,
            "token": await _login(api, without),
            "account": account(f"all-but-{_slug(scope)}"),
        }
        for route in opened:
            for kind, client in narrow.items():
                assert (await _ask(client, route)).status_code == 403, (route.name, kind)
            for kind, client in wide.items():
                assert (await _ask(client, route)).status_code not in (401, 403), (route.name, kind)


async def test_a_namespace_is_all_that_its_credentials_see(api: Api, admin: httpx.AsyncClient) -> None:
    job = (await admin.post("/v1/jobs", json={"provider": "acme"})).json()
    key = (
        await admin.post("/v1/api-keys", json={"subject": "here", "scopes": ["jobs:read"], "namespaces": ["octo"]})
    ).json()
    routes = await _routes(api, {"uid": job["id"], "name": "acme", "id": key["id"]})
    elsewhere = api.client(await api.keys.make("*", namespaces=("elsewhere",)))
    told = re.compile("|".join(map(re.escape, (job["id"], job["name"], key["id"], "sftp.example"))))
    for route in routes:
        answer = await _ask(elsewhere, route)
        assert answer.status_code in (200, 403, 404, 422), route.name
        if answer.status_code == 200:
            assert route.method == "GET", route.name
            assert not told.search(answer.text), route.name
        explicit = await elsewhere.request(route.method, route.path, params={"namespace": "octo"})
        assert explicit.status_code in (200, 403, 404, 422), route.name
        assert explicit.status_code != 200 or not told.search(explicit.text), route.name
    # What was not to be seen is as it was.
    assert (await admin.get(f"/v1/jobs/{job['id']}")).json()["state"] == job["state"]
    assert (await admin.get(f"/v1/api-keys/{key['id']}")).json()["state"] == "Active"
    assert (await admin.get("/v1/providers/acme")).status_code == 200
