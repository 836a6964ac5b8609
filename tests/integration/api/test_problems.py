"""Every failure is a problem document that tells the client what it may know, and no more."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from octo_api.jobs.schemas import JobRequest
from octo_core.db.migrate import needs_code
from octo_core.db.session import Database
from tests.integration.api.conftest import Api
from tests.support.fake_kube import FakeKube
from tests.support.postgres import PostgresServer


def problem(answer: httpx.Response) -> dict[str, Any]:
    """The problem document, checked for its form."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document.keys() >= {"type", "title", "status", "detail", "instance", "code", "requestId", "retryable"}
    assert document["status"] == answer.status_code
    assert document["requestId"] == answer.headers["X-Request-Id"]
    return document


async def test_unknown_route_and_method(admin: httpx.AsyncClient) -> None:
    assert problem(await admin.get("/v1/nothing"))["code"] == "route-not-found"
    for path, methods in (("jobs", "GET, POST"), ("jobs/x", "DELETE, GET, PATCH"), ("audit", "GET")):
        answer = await admin.put(f"/v1/{path}")
        assert problem(answer)["code"] == "method-not-allowed"
        assert (answer.status_code, answer.headers["Allow"]) == (405, methods)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"provider": "acme", "priorty": 1}, "/priorty"),
        ({"provider": "acme", "priority": "secret-value"}, "/priority"),
        ({"provider": "acme", "requestedBy": "someone else"}, "/requestedBy"),
        ({"provider": "acme", "retryPolicy": {"retryOn": ["Nope"]}}, "/retryPolicy/retryOn/0"),
        ({"provider": "../x"}, "/provider"),
        ({"parameters": {}}, "/provider"),
    ],
)
async def test_invalid_body(admin: httpx.AsyncClient, kube: FakeKube, body: dict[str, Any], where: str) -> None:
    answer = await admin.post("/v1/jobs", json=body)
    document = problem(answer)
    assert (answer.status_code, document["code"]) == (422, "validation-failed")
    assert [(error["in"], error["pointer"]) for error in document["errors"]] == [("body", where)]
    assert "secret-value" not in answer.text
    assert kube.of_kind("octojobs") == []


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"provider": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"provider":"acme","parameters":{"a":"\\u0000"}}',
    ],
)
async def test_odd_bytes(admin: httpx.AsyncClient, content: bytes) -> None:
    answer = await admin.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
    assert problem(answer)["status"] == 422


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "state=Nope", "name=%00", "provider=a%27b", "namespace=A", "cursor=" + "x" * 40_000],
)
async def test_invalid_query(admin: httpx.AsyncClient, query: str) -> None:
    assert problem(await admin.get(f"/v1/jobs?{query}"))["status"] == 422


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
async def test_invalid_idempotency_key(admin: httpx.AsyncClient, key: str) -> None:
    answer = await admin.post("/v1/jobs", json={"provider": "acme"}, headers={b"Idempotency-Key": key.encode()})
    assert problem(answer)["status"] == 422


async def test_odd_ids(admin: httpx.AsyncClient) -> None:
    for uid in ("%00", "a%2Fb", "..", "x" * 65, "a'b"):
        answer = await admin.get(f"/v1/jobs/{uid}")
        assert problem(answer)["status"] in (404, 422), uid


async def test_random_bodies_break_nothing(admin: httpx.AsyncClient) -> None:
    chance = random.Random(7)
    fields = [*(field.alias for field in JobRequest.model_fields.values()), "spec", "cancel"]
    leaves: list[Any] = [None, True, -1, 2**63, 1e308, "", "acme", "\u0000", "x" * 5000, "2026-01-01T00:00:00Z", [], {}]

    def value(depth: int) -> Any:
        kind = chance.random()
        if depth == 0 or kind < 0.6:
            return chance.choice(leaves)
        if kind < 0.8:
            return [value(depth - 1) for _ in range(chance.randrange(3))]
        return {chance.choice(["policy", "paths", "maxAttempts", "key", "\u0000", "a/b~"]): value(depth - 1)}

    seen = set()
    for _ in range(300):
        body = {str(chance.choice(fields)): value(2) for _ in range(chance.randrange(4))}
        answer = await admin.post("/v1/jobs", json={"provider": "acme", **body})
        seen.add(answer.status_code)
        assert answer.status_code in (202, 404, 422), body
        if answer.status_code != 202:
            problem(answer)
    assert seen >= {202, 422}


async def test_too_large_with_and_without_a_length(admin: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b" " * (1 << 16)

    big = b" " * ((1 << 20) + 1)
    for content in (big, chunks()):
        answer = await admin.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
        assert problem(answer)["code"] == "payload-too-large"


async def test_an_unexpected_error_tells_nothing(
    api: Api, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("postgresql://user:password@host /srv/octo")

    monkeypatch.setattr(api.app.state.services.jobs.__class__, "get", broken)
    answer = await admin.get("/v1/jobs/x")
    document = problem(answer)
    assert (document["status"], document["code"]) == (500, "internal")
    assert "password" not in answer.text
    assert "Runtime" not in answer.text


async def test_request_ids(api: Api) -> None:
    given = await api.client(None, **{"X-Request-Id": "abc-1"}).get("/healthz")
    assert given.headers["X-Request-Id"] == "abc-1"
    odd = await api.client(None, **{"X-Request-Id": "a b\tc"}).get("/healthz")
    assert len(odd.headers["X-Request-Id"]) == 24


async def test_postgres_away_and_back(
    api: Api, admin: httpx.AsyncClient, postgres: PostgresServer, kube: FakeKube
) -> None:
    assert (await admin.get("/readyz")).json() == {"status": "ok", "checks": {"database": "ok", "cluster": "ok"}}
    postgres.stop()
    try:
        for answer in (await admin.get("/v1/jobs"), await admin.post("/v1/jobs", json={"provider": "acme"})):
            document = problem(answer)
            assert (document["status"], document["code"], document["retryable"]) == (503, "database-unavailable", True)
            assert answer.headers["Retry-After"]
        ready = await admin.get("/readyz")
        assert problem(ready)["checks"] == {"database": "Postgres does not answer", "cluster": "ok"}
        assert (await admin.get("/healthz")).status_code == 200
        assert kube.of_kind("octojobs") == []
    finally:
        postgres.start()
    assert (await admin.get("/readyz")).status_code == 200
    assert (await admin.post("/v1/jobs", json={"provider": "acme"})).status_code == 202


async def test_cluster_away(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    kube.fault_before = lambda request: 0
    assert problem(await admin.get("/v1/providers"))["code"] == "cluster-unavailable"
    answer = await admin.post("/v1/jobs", json={"provider": "acme"})
    assert (problem(answer)["code"], answer.status_code) == ("cluster-unavailable", 503)
    assert problem(await admin.get("/readyz"))["checks"]["database"] == "ok"
    assert (await admin.get("/v1/jobs")).status_code == 200


async def test_an_old_schema_is_not_ready(admin: httpx.AsyncClient, database: Database) -> None:

    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    assert "octo-api migrate" in problem(await admin.get("/readyz"))["checks"]["database"]


async def test_a_newer_schema_is_worked_on(
    admin: httpx.AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """As after `helm rollback`, which leaves the schema as the newer release made it."""
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await session.execute(text("ALTER TABLE jobs ADD COLUMN of_a_newer_release text NOT NULL DEFAULT 'x'"))
    for _ in range(2):
        assert (await admin.get("/readyz")).status_code == 200
    assert caplog.text.count("the schema is newer than this server") == 1
    assert (await admin.post("/v1/jobs", json={"provider": "acme"})).status_code == 202
    assert (await admin.get("/v1/jobs")).status_code == 200


async def test_a_newer_schema_that_took_something_away_is_not_ready(
    admin: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await session.execute(text(needs_code("9998")))
    assert "needs a server that knows 9998" in problem(await admin.get("/readyz"))["checks"]["database"]


async def test_metrics_name_routes_and_not_ids(admin: httpx.AsyncClient) -> None:
    await admin.get("/v1/jobs/some-uid")
    await admin.get("/v1/nowhere/some-uid")
    exposed = (await admin.get("/metrics")).text
    assert 'octo_api_requests_total{code="404",method="GET",route="/v1/jobs/{uid}"} 1.0' in exposed
    assert 'route="unmatched"' in exposed
    assert "some-uid" not in exposed
