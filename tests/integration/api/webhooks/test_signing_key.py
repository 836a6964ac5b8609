"""The key from which secrets of webhooks are derived: its own, replaced without a message that nobody can check."""

from __future__ import annotations

from typing import Any

import httpx
from pydantic import SecretStr

from tests.integration.api.conftest import PEPPER, StartApi
from tests.integration.api.webhooks.test_webhooks import OPEN, make
from tests.support.webhook_receiver import Received, Receiver, receiver

FIRST, SECOND = SecretStr("1" * 32), SecretStr("2" * 32)
NEW_PEPPER = {"api_key_pepper": SecretStr("n" * 32), "api_key_pepper_previous": SecretStr(PEPPER)}


async def _client(start_api: StartApi, **settings: Any) -> httpx.AsyncClient:
    api = await start_api(**OPEN, **settings)
    return api.client(await api.keys.make())


async def _sent(client: httpx.AsyncClient, hook: dict[str, Any], endpoint: Receiver) -> Received:
    """What the api that is asked sends, at once and by itself."""
    answer = await client.post(f"/v1/webhooks/{hook['id']}:test")
    assert answer.json()["state"] == "Delivered", answer.text
    return endpoint.received[-1]


async def test_a_key_is_replaced_while_receivers_have_the_old_secret(start_api: StartApi) -> None:
    async with receiver() as endpoint:
        hook = await make(await _client(start_api, webhook_signing_key=FIRST), endpoint)
        moving = await _client(start_api, webhook_signing_key=SECOND, webhook_signing_key_previous=FIRST)
        assert (await _sent(moving, hook, endpoint)).signed_by(hook["secret"])
        rotated = (await moving.post(f"/v1/webhooks/{hook['id']}:rotate-secret", json={"overlapSeconds": 3600})).json()
        both = await _sent(moving, hook, endpoint)
        assert both.signed_by(hook["secret"])
        assert both.signed_by(rotated["secret"])
        moved = await _sent(await _client(start_api, webhook_signing_key=SECOND), hook, endpoint)
        assert not moved.signed_by(hook["secret"])
        assert moved.signed_by(rotated["secret"])


async def test_the_pepper_has_no_say(start_api: StartApi) -> None:
    async with receiver() as endpoint:
        hook = await make(await _client(start_api, webhook_signing_key=FIRST), endpoint)
        repeppered = await _client(start_api, webhook_signing_key=FIRST, **NEW_PEPPER)
        sent = await _sent(repeppered, hook, endpoint)
        assert sent.signed_by(hook["secret"])
        assert len(sent.headers["webhook-signature"].split()) == 1


async def test_an_installation_without_the_key_goes_on_and_can_move(start_api: StartApi) -> None:
    async with receiver() as endpoint:
        hook = await make(await _client(start_api), endpoint)
        assert (await _sent(await _client(start_api, **NEW_PEPPER), hook, endpoint)).signed_by(hook["secret"])
        moved = await _client(start_api, webhook_signing_key=SecretStr(PEPPER), **NEW_PEPPER)
        assert (await _sent(moved, hook, endpoint)).signed_by(hook["secret"])
