"""From an event to a signed request, through failures, restarts and several replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from octo_core.db.projection import project
from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.integration.api.conftest import PEPPER, Api, Keys, StartApi
from tests.integration.db.test_projection import octojob
from tests.support.api_process import api_process
from tests.support.fake_kube import FakeKube
from tests.support.webhook_receiver import Received, Receiver, receiver

OPEN = {"webhook_allow_http": True, "webhook_allowed_networks": ["127.0.0.0/8"]}
PATIENCE = 240.0


@pytest.fixture
async def endpoint() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


@pytest.fixture
async def open_api(start_api: StartApi) -> Api:
    """An api whose webhooks may reach loopback."""
    return await start_api(**OPEN)


@pytest.fixture
async def client(open_api: Api) -> httpx.AsyncClient:
    return open_api.client(await open_api.keys.make())


async def make(client: httpx.AsyncClient, endpoint: Receiver, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhooks", json={"name": "hook", "url": f"{endpoint.url}/in", **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/webhooks/{answer.json()['id']}"
    made: dict[str, Any] = answer.json()
    return made


async def happen(database: Database, uid: str, version: int, state: str) -> None:
    async with database.transaction() as session:
        await project(session, [octojob(uid, version, state)], now=datetime.now(UTC))


async def log(client: httpx.AsyncClient, hook: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/v1/webhooks/{hook['id']}/deliveries", params=query)).json()[
        "items"
    ]
    return found


async def settled(client: httpx.AsyncClient, hook: dict[str, Any], count: int, state: str) -> list[dict[str, Any]]:
    """The log, once so many deliveries are in that state."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await log(client, hook, state=state)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


async def test_each_event_is_told_once_signed_and_filtered(
    client: httpx.AsyncClient, endpoint: Receiver, database: Database
) -> None:
    hook = await make(client, endpoint, types=["job.failed", "job.succeeded"], providers=["bank"])
    other = await make(client, endpoint, name="nobody", providers=["another"])
    await happen(database, "a", 1, "Running")
    await happen(database, "a", 2, "Failed")
    await happen(database, "b", 1, "Succeeded")
    await endpoint.ids(2)
    delivered = await settled(client, hook, 2, "Delivered")
    assert [(d["type"], d["responseStatus"], d["error"]) for d in delivered] == [
        ("job.succeeded", 204, None),
        ("job.failed", 204, None),
    ]
    assert await log(client, other) == []
    assert len(endpoint.received) == 2
    page = (await client.get("/v1/events", params={"type": ["job.failed", "job.succeeded"]})).json()["items"]
    told = sorted(endpoint.received, key=lambda got: got.event["id"])
    assert [got.event for got in told] == page
    assert [got.id for got in told] == [f"msg_{hook['id']}_{event['id']}" for event in page]
    assert all(got.signed_by(hook["secret"]) and got.path == "/in" for got in told)
    assert all(abs(int(got.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 300 for got in told)
    assert not told[0].signed_by(other["secret"])
    # The secret is shown once.
    assert "secret" not in (await client.get(f"/v1/webhooks/{hook['id']}")).json()
    assert hook["secret"] not in (await client.get("/v1/webhooks")).text


async def test_failures_are_tried_again_under_the_same_id(
    client: httpx.AsyncClient, endpoint: Receiver, database: Database
) -> None:
    hook = await make(client, endpoint)
    answers = [500, 302]

    async def fail_first(_: Received) -> web.StreamResponse:
        headers = {"Location": f"{endpoint.url}/elsewhere"}
        return web.Response(status=answers.pop(0), headers=headers, text="\0x" * 5000) if answers else web.Response()

    endpoint.answer = fail_first
    await happen(database, "a", 1, "Pending")
    async with asyncio.timeout(PATIENCE):
        # The schedule has the second try after five seconds, and the third five minutes later.
        while not (waiting := [d for d in await log(client, hook) if d["responseStatus"] == 302]):  # noqa: ASYNC110 - polls the api
            await asyncio.sleep(0.05)
    assert (waiting[0]["state"], waiting[0]["attempts"], len(waiting[0]["responseBody"])) == ("Pending", 2, 1024)
    assert waiting[0]["error"] == "answered 302, and redirects are not followed"
    again = f"/v1/webhooks/{hook['id']}/deliveries/{waiting[0]['id']}:redeliver"
    assert (await client.post(again)).status_code == 202
    (delivered,) = await settled(client, hook, 1, "Delivered")
    assert delivered["attempts"] == 1
    assert len(endpoint.received) == 3
    assert {got.id for got in endpoint.received} == {delivered["id"]}
    assert {got.path for got in endpoint.received} == {"/in"}


async def test_rotation_signs_with_both_secrets_for_a_while(
    open_api: Api, client: httpx.AsyncClient, endpoint: Receiver
) -> None:
    hook = await make(client, endpoint)
    rotated = (await client.post(f"/v1/webhooks/{hook['id']}:rotate-secret", json={"overlapSeconds": 3600})).json()
    assert rotated["secret"] != hook["secret"]
    test = (await client.post(f"/v1/webhooks/{hook['id']}:test")).json()
    assert (test["state"], test["responseStatus"], test["eventId"]) == ("Delivered", 204, None)
    assert endpoint.received[0].signed_by(hook["secret"])
    assert endpoint.received[0].signed_by(rotated["secret"])
    assert endpoint.received[0].event["type"] == "webhook.test"
    open_api.clock.offset = timedelta(hours=2)
    await client.post(f"/v1/webhooks/{hook['id']}:test")
    assert not endpoint.received[1].signed_by(hook["secret"])
    assert endpoint.received[1].signed_by(rotated["secret"])


async def test_an_endpoint_that_fails_for_days_is_disabled_and_taken_up_again(
    start_api: StartApi, endpoint: Receiver, database: Database
) -> None:
    api = await start_api(**OPEN, webhook_disable_after_seconds=0)
    client = api.client(await api.keys.make())
    failing = await make(client, endpoint)
    watching = await make(client, endpoint, name="watch", url=f"{endpoint.url}/watch", types=["webhook.disabled"])

    async def fail(got: Received) -> web.StreamResponse:
        return web.Response(status=200 if got.path == "/watch" else 410)

    endpoint.answer = fail
    await happen(database, "a", 1, "Pending")
    await settled(client, watching, 1, "Delivered")
    shown = (await client.get(f"/v1/webhooks/{failing['id']}")).json()
    assert (shown["enabled"], shown["disabledReason"]) == (False, "EndpointGone")
    told = next(got.event for got in endpoint.received if got.path == "/watch")
    assert (told["type"], told["data"]["webhookId"]) == ("webhook.disabled", failing["id"])
    # While it is disabled nothing is kept for it.
    await happen(database, "b", 1, "Pending")
    (failed,) = await log(client, failing)
    again = f"/v1/webhooks/{failing['id']}/deliveries/{failed['id']}:redeliver"
    assert (await client.post(again)).status_code == 409
    endpoint.answer = Receiver().answer
    assert (await client.patch(f"/v1/webhooks/{failing['id']}", json={"enabled": True})).json()["enabled"]
    assert (await client.post(again)).status_code == 202
    await settled(client, failing, 1, "Delivered")


async def test_replicas_share_the_outbox(start_api: StartApi, endpoint: Receiver, database: Database) -> None:
    apis = [await start_api(**OPEN) for _ in range(2)]
    client = apis[0].client(await apis[0].keys.make())
    hook = await make(client, endpoint)
    for number in range(30):
        await happen(database, f"job-{number}", 1, "Pending")
    delivered = await settled(client, hook, 30, "Delivered")
    ids = [got.id for got in endpoint.received]
    assert len(set(ids)) == 30
    # Nothing was sent but by whoever had claimed it.
    assert len(ids) <= sum(delivery["attempts"] for delivery in delivered)


async def test_a_killed_sender_is_succeeded(
    start_api: StartApi,
    endpoint: Receiver,
    database: Database,
    database_settings: DatabaseSettings,
    kube: FakeKube,
    tmp_path: Path,
) -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hang(_: Received) -> web.StreamResponse:
        arrived.set()
        await never.wait()
        raise AssertionError

    endpoint.answer = hang
    keys = Keys(database)
    key = await keys.make()
    settings = {"webhook_timeout_seconds": 1, "webhook_allow_http": True, "webhook_allowed_networks": '["127.0.0.0/8"]'}
    async with api_process(
        database_url=database_settings.database_url.get_secret_value(),
        kubeconfig=kube.write_kubeconfig(tmp_path / "kubeconfig"),
        pepper=PEPPER,
        log=tmp_path / "api.log",
        **settings,
    ) as process:
        async with httpx.AsyncClient(base_url=process.url, headers={"X-API-Key": key.text}, timeout=PATIENCE) as client:
            hook = await make(client, endpoint)
        await happen(database, "a", 1, "Pending")
        await asyncio.wait_for(arrived.wait(), PATIENCE)
        await asyncio.to_thread(process.program.kill)
    endpoint.answer = Receiver().answer
    api = await start_api(**OPEN)
    (delivered,) = await settled(api.client(key), hook, 1, "Delivered")
    assert {got.id for got in endpoint.received} == {delivered["id"]}
    assert delivered["attempts"] >= len(endpoint.received) >= 2
    assert all(got.signed_by(hook["secret"]) for got in endpoint.received)


async def test_crud_and_its_limits(start_api: StartApi, endpoint: Receiver) -> None:
    api = await start_api(**OPEN, webhooks_per_namespace=2)
    client = api.client(await api.keys.make())
    foreign = api.client(await api.keys.make("webhooks:read", "webhooks:write", namespaces=("other",)))
    reader = api.client(await api.keys.make("webhooks:read"))
    hook = await make(client, endpoint, description="For the desk", jobId="a-b")
    path = f"/v1/webhooks/{hook['id']}"
    again = await client.post("/v1/webhooks", json={"name": "hook", "url": "https://example.com/"})
    assert (again.status_code, again.json()["code"]) == (409, "already-exists")
    await make(client, endpoint, name="second")
    assert (await client.post("/v1/webhooks", json={"name": "third", "url": endpoint.url})).status_code == 409

    first = (await client.get("/v1/webhooks", params={"limit": 1})).json()
    rest = (await client.get("/v1/webhooks", params={"cursor": first["nextCursor"]})).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["hook", "second"]
    changed = (await client.patch(path, json={"types": ["job.failed"], "enabled": False})).json()
    assert (changed["types"], changed["enabled"], changed["disabledReason"]) == (["job.failed"], False, "Requested")
    assert changed["description"] == "For the desk"

    assert (await foreign.get("/v1/webhooks")).json()["items"] == []
    assert (await foreign.post("/v1/webhooks", json={"name": "x", "url": endpoint.url})).status_code == 403
    for method, where in (("GET", path), ("PATCH", path), ("DELETE", path), ("POST", f"{path}:test")):
        body: dict[str, Any] = {"json": {}} if method == "PATCH" else {}
        assert (await foreign.request(method, where, **body)).status_code == 404
        assert (await reader.request(method, where, **body)).status_code == (200 if method == "GET" else 403)
    assert (await client.get(f"{path}/deliveries")).json() == {"items": [], "nextCursor": None}
    assert (await client.post(f"{path}/deliveries/msg_wh_a_1:redeliver")).status_code in (404, 409)
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
