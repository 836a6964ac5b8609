"""Who gets in, what they may do, and what the audit log keeps of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from octo_api.auth.credentials import new_key
from octo_core.db import api_keys
from octo_core.db.session import Database
from octo_core.db.tables import ApiKeyRow, AuditRow
from tests.integration.api.conftest import Api, StartApi
from tests.support.fake_kube import FakeKube
from tests.support.waiting import until

BODY = {"provider": "acme"}


async def _audit(database: Database, action: str) -> list[AuditRow]:
    async def rows() -> list[AuditRow]:
        async with database.transaction() as session:
            return list(await session.scalars(select(AuditRow).where(AuditRow.action == action).order_by(AuditRow.id)))

    return await until(rows, what=f"an audit row for {action}")


@pytest.mark.parametrize("kind", ["none", "malformed", "unknown", "wrong secret", "expired", "revoked", "not a token"])
async def test_a_bad_credential_gets_one_and_the_same_401(
    api: Api, kube: FakeKube, database: Database, kind: str
) -> None:
    key = await api.keys.make(expires_at=datetime.now(UTC) + timedelta(hours=1))
    headers = {"X-API-Key": key.text}
    match kind:
        case "none":
            headers = {}
        case "malformed":
            headers = {"X-API-Key": "octo_x_y"}
        case "unknown":
            headers = {"X-API-Key": new_key(b"z" * 40).text}
        case "wrong secret":
            headers = {"X-API-Key": key.text[:-1] + ("A" if key.text[-1] != "A" else "B")}
        case "expired":
            api.clock.offset = timedelta(hours=2)
        case "revoked":
            async with database.transaction() as session:
                assert await api_keys.revoke(session, key.id, now=datetime.now(UTC))
        case "not a token":
            headers = {"Authorization": f"Bearer {key.text}"}
    answer = await api.client(None, **headers).post("/v1/jobs", json=BODY)
    problem = answer.json()
    del problem["requestId"]
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="octo"'
    assert problem == {
        "type": "https://octo.dev/problems/unauthenticated",
        "title": "Unauthenticated",
        "status": 401,
        "detail": "The credential is missing, unknown, expired or revoked.",
        "instance": "/v1/jobs",
        "code": "unauthenticated",
        "retryable": False,
    }
    # Work beside the requests reads; nothing was asked of the cluster for this one.
    assert [request for request in kube.requests if request[0] != "GET"] == []
    (row,) = await _audit(database, "jobs.create")
    assert (row.outcome, row.status, row.actor) == ("Denied", 401, None)


async def test_scopes_and_namespaces(api: Api, kube: FakeKube, database: Database) -> None:
    reader = api.client(await api.keys.make("jobs:read"))
    refused = await reader.post("/v1/jobs", json=BODY)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await reader.get("/v1/jobs")).status_code == 200
    assert (await reader.get("/v1/providers")).status_code == 403
    elsewhere = api.client(await api.keys.make(namespaces=("elsewhere",)))
    assert (await elsewhere.post("/v1/jobs", json=BODY)).status_code == 403
    assert (await elsewhere.get("/v1/providers")).status_code == 403
    assert (await elsewhere.get("/v1/providers/acme")).status_code == 404
    assert kube.of_kind("octojobs") == []
    rows = await _audit(database, "jobs.create")
    assert (rows[0].actor, rows[0].outcome, rows[0].status) == ("tester", "Denied", 403)


async def test_a_create_is_audited_with_its_run(api: Api, database: Database) -> None:
    client = api.client(await api.keys.make(subject="ops"), **{"X-Request-Id": "night-1"})
    job = (await client.post("/v1/jobs", json=BODY)).json()
    (row,) = await _audit(database, "jobs.create")
    assert (row.actor, row.outcome, row.status, row.resource) == ("ops", "Allowed", 202, job["id"])
    assert (row.namespace, row.request_id) == ("octo", "night-1")


async def test_login_gives_a_token_that_dies_with_its_key(api: Api, database: Database) -> None:
    key = await api.keys.make("jobs:read", namespaces=("octo",), subject="ops")
    token = (await api.client(key).post("/v1/auth/login")).json()
    assert (token["tokenType"], token["expiresIn"]) == ("Bearer", pytest.approx(900, abs=2))
    client = api.client(None, Authorization=f"Bearer {token['accessToken']}")
    identity = (await client.get("/v1/auth/verify")).json()
    assert (identity["subject"], identity["keyId"], identity["scopes"]) == ("ops", key.id, ["jobs:read"])
    assert identity["namespaces"] == ["octo"]
    assert (await client.get("/v1/jobs")).status_code == 200
    assert (await client.post("/v1/jobs", json=BODY)).status_code == 403
    # A token cannot renew itself.
    assert (await client.post("/v1/auth/login")).status_code == 401
    async with database.transaction() as session:
        await api_keys.revoke(session, key.id, now=datetime.now(UTC))
    # Behind the back of this process, which looks again after a quarter of a minute.
    api.clock.offset = timedelta(seconds=16)
    assert (await client.get("/v1/jobs")).status_code == 401


async def test_a_token_expires(api: Api) -> None:
    token = (await api.client(await api.keys.make()).post("/v1/auth/login")).json()["accessToken"]
    client = api.client(None, Authorization=f"Bearer {token}")
    assert (await client.get("/v1/auth/verify")).status_code == 200
    api.clock.offset = timedelta(seconds=901)
    assert (await client.get("/v1/auth/verify")).status_code == 401


async def test_last_use_is_noted_at_most_once_a_minute(api: Api, database: Database) -> None:
    key = await api.keys.make()
    client = api.client(key)

    async def last_used() -> Any:
        await client.get("/v1/auth/verify")
        async with database.transaction() as session:
            return await session.scalar(select(ApiKeyRow.last_used_at).where(ApiKeyRow.id == key.id))

    first = await last_used()
    assert first is not None
    assert await last_used() == first
    api.clock.offset = timedelta(seconds=61)
    assert await last_used() > first


async def test_the_first_key_is_made_at_start_and_stays_revoked(start_api: StartApi, database: Database) -> None:
    key = new_key(b"b" * 40)
    for expected in (200, 401):
        api = await start_api(bootstrap_api_key=SecretStr(key.text), failed_logins_per_minute=0)
        client = api.client(key)
        await until(partial(_answers, client, expected), what=f"the answer {expected}")
        async with database.transaction() as session:
            await api_keys.revoke(session, key.id, now=datetime.now(UTC))


async def _answers(client: httpx.AsyncClient, status: int) -> bool:
    return (await client.get("/v1/auth/verify")).status_code == status
