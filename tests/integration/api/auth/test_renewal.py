"""A token from login is renewed before it expires: by itself only, while its key is in use, until its session ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from octo_core.db import api_keys
from octo_core.db.session import Database
from tests.integration.api.auth.tokens import service_account_token
from tests.integration.api.conftest import Api, StartApi


def bearer(api: Api, token: str) -> httpx.AsyncClient:
    return api.client(None, Authorization=f"Bearer {token}")


async def renewed(api: Api, token: str) -> dict[str, Any]:
    answer = await bearer(api, token).post("/v1/auth/renew")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_session_outlives_its_tokens_and_ends(start_api: StartApi) -> None:
    api = await start_api(token_ttl_seconds=900, session_seconds=3600)
    client = api.client(await api.keys.make("jobs:read", namespaces=("octo",), subject="ops"))
    token = (await client.post("/v1/auth/login")).json()
    for minutes in (10, 20, 30, 40, 50):
        api.clock.offset = timedelta(minutes=minutes)
        newer = await renewed(api, token["accessToken"])
        assert newer["accessToken"] != token["accessToken"]
        assert newer["sessionEndsAt"] == token["sessionEndsAt"]
        assert token["expiresAt"] < newer["expiresAt"] <= token["sessionEndsAt"]
        token = newer
    assert token["expiresAt"] == token["sessionEndsAt"]
    said = (await bearer(api, token["accessToken"]).get("/v1/auth/verify")).json()
    assert (said["subject"], said["scopes"], said["namespaces"]) == ("ops", ["jobs:read"], ["octo"])
    api.clock.offset = timedelta(minutes=61)
    assert (await bearer(api, token["accessToken"]).post("/v1/auth/renew")).status_code == 401


async def test_it_ends_with_its_key(api: Api, database: Database) -> None:
    expires = datetime.now(UTC) + timedelta(minutes=5)
    ending, revoked = await api.keys.make(expires_at=expires), await api.keys.make()
    token = (await api.client(ending).post("/v1/auth/login")).json()
    assert datetime.fromisoformat((await renewed(api, token["accessToken"]))["sessionEndsAt"]) <= expires
    token = (await api.client(revoked).post("/v1/auth/login")).json()
    async with database.transaction() as session:
        assert await api_keys.revoke(session, revoked.id, now=datetime.now(UTC))
    api.clock.offset = timedelta(seconds=70)
    assert (await bearer(api, token["accessToken"]).post("/v1/auth/renew")).status_code == 401


@pytest.mark.parametrize("kind", ["key", "token and key", "ServiceAccount", "nothing"])
async def test_nothing_else_is_renewed(start_api: StartApi, kind: str) -> None:
    api = await start_api()
    key = await api.keys.make()
    token = (await api.client(key).post("/v1/auth/login")).json()["accessToken"]
    headers, status = {
        "key": ({"X-API-Key": key.text}, 403),
        "token and key": ({"X-API-Key": key.text, "Authorization": f"Bearer {token}"}, 403),
        "ServiceAccount": ({"Authorization": f"Bearer {service_account_token('ci', 'unknown')}"}, 401),
        "nothing": ({}, 401),
    }[kind]
    assert (await api.client(None, **headers).post("/v1/auth/renew")).status_code == status
