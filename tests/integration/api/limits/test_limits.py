"""What callers and clients may take: shares, failed logins, requests at a time. On a clock that the test moves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from ipaddress import ip_network

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from octo_api.auth.credentials import new_key
from octo_api.context import RequestContext
from octo_api.limits.middleware import LimitsMiddleware
from octo_api.limits.settings import LimitSettings
from octo_api.metrics import Metrics
from octo_core.db.projection import project
from octo_core.db.session import Database
from tests.integration.api.conftest import StartApi
from tests.support.fake_kube import FakeKube
from tests.support.waiting import until

BODY = {"provider": "acme"}


async def test_each_caller_has_a_share(start_api: StartApi) -> None:
    api = await start_api(rate_limit_requests=2, rate_limit_window_seconds=60)
    # The share is of the caller, however many keys they have.
    first, second = api.client(await api.keys.make()), api.client(await api.keys.make())
    other = api.client(await api.keys.make(subject="other"))
    answer = await first.get("/v1/auth/verify")
    told = {name: answer.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Policy")}
    assert told == {"Limit": "2", "Remaining": "1", "Policy": "2;w=60"}
    assert int(answer.headers["RateLimit-Reset"]) <= 30
    assert (await second.get("/v1/auth/verify")).headers["RateLimit-Remaining"] == "0"
    refused = await first.post("/v1/jobs", json=BODY)
    assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (429, "rate-limited", True)
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert 1 <= int(refused.headers["Retry-After"]) == refused.json()["retryAfter"] <= 30
    assert (await other.get("/v1/auth/verify")).status_code == 200
    assert (await first.get("/healthz")).status_code == 200
    api.clock.offset += timedelta(seconds=30)
    assert (await first.get("/v1/auth/verify")).status_code == 200


async def test_failed_logins_of_a_client_are_limited(start_api: StartApi) -> None:
    api = await start_api(failed_logins_per_minute=3, trusted_proxies=(ip_network("127.0.0.0/8"),))
    known, unknown = await api.keys.make(), new_key(b"z" * 40)
    client = api.client(None)

    async def answer(key: str | None, address: str, bearer: str | None = None) -> httpx.Response:
        headers = {"X-Forwarded-For": address}
        headers |= {"X-API-Key": key} if key is not None else {}
        headers |= {"Authorization": f"Bearer {bearer}"} if bearer is not None else {}
        return await client.get("/v1/auth/verify", headers=headers)

    here, there = "198.51.100.7", "203.0.113.9"
    assert (await answer(known.text, here)).status_code == 200
    # However it fails, it counts.
    assert (await answer(unknown.text, here)).status_code == 401
    assert (await answer("octo_malformed", here)).status_code == 401
    assert (await answer(None, here, "a.b.c")).status_code == 401
    for attempt in ((unknown.text, None), (None, None), (None, "a.b.c"), ("octo_malformed", None)):
        refused = await answer(attempt[0], here, attempt[1])
        assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
    # A right guess is not told apart from a wrong one any more, except for a key that has proved itself here.
    fresh = await api.keys.make()
    assert (await answer(fresh.text, here)).status_code == 429
    assert (await answer(known.text, here)).status_code == 200
    assert (await client.post("/v1/auth/login", headers={"X-Forwarded-For": here})).status_code == 429
    assert (await answer(fresh.text, there)).status_code == 200
    # The left part is the client's own invention.
    assert (await answer(unknown.text, f"{there}, {here}")).status_code == 429
    api.clock.offset += timedelta(seconds=20)
    assert (await answer(None, here)).status_code == 401


async def test_neighbours_who_fail_shut_out_nobody_who_is_known(start_api: StartApi) -> None:
    """Behind a proxy that is not named in the settings, all have one address."""
    api = await start_api(failed_logins_per_minute=1)
    known = api.client(await api.keys.make())
    token = (await known.post("/v1/auth/login")).json()["accessToken"]
    bearer = api.client(None, Authorization=f"Bearer {token}")
    revoked = await api.keys.make()
    was = api.client(revoked)
    for client in (known, bearer, was):
        assert (await client.get("/v1/auth/verify")).status_code == 200
    neighbour = api.client(new_key(b"z" * 40))
    assert (await known.post(f"/v1/api-keys/{revoked.id}:revoke")).status_code == 200
    for _ in range(5):
        # Longer than a good key is believed without a look.
        api.clock.offset += timedelta(seconds=20)
        assert (await neighbour.get("/v1/auth/verify")).status_code in (401, 429)
        assert (await neighbour.get("/v1/auth/verify")).status_code == 429
        for client in (known, bearer):
            assert (await client.get("/v1/auth/verify")).status_code == 200
    # One that is good no more is looked at once, and then as any other.
    assert [(await was.get("/v1/auth/verify")).status_code for _ in range(2)] == [401, 429]


async def test_too_much_at_once_is_refused_at_once(start_api: StartApi, kube: FakeKube) -> None:
    api = await start_api(max_in_flight=1)
    client = api.client(await api.keys.make())
    assert (await client.get("/v1/auth/verify")).status_code == 200
    arrived = asyncio.Event()
    kube.delays["GET"] = 3600
    kube.fault_before = lambda request: arrived.set()
    slow = asyncio.create_task(client.get("/v1/providers/acme"))
    await asyncio.wait_for(arrived.wait(), 120)
    shed = await client.get("/v1/auth/verify")
    assert (shed.status_code, shed.json()["code"], shed.headers["Retry-After"]) == (503, "overloaded", "2")
    assert (await client.get("/healthz")).status_code == 200
    assert "octo_api_shed_total 1.0" in (await client.get("/metrics")).text
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    # Its place is free again.
    assert (await client.get("/v1/auth/verify")).status_code == 200


async def test_a_request_without_an_answer_is_ended(start_api: StartApi, kube: FakeKube) -> None:
    api = await start_api(request_timeout_seconds=0.2)
    kube.delays["GET"] = 3600
    answer = await api.client(await api.keys.make()).get("/v1/providers/acme")
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, "timeout", True)
    kube.delays.clear()


async def test_who_asked_to_wait_takes_nobodys_place(start_api: StartApi, kube: FakeKube, database: Database) -> None:
    api = await start_api(max_in_flight=1)
    client = api.client(await api.keys.make())

    async def waits() -> httpx.Response | None:
        answer = await client.get("/v1/jobs")
        return answer if answer.status_code == 200 else None

    async def made() -> str | None:
        return next((raw["metadata"]["uid"] for raw in kube.of_kind("octojobs")), None)

    waiting = asyncio.create_task(client.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=60"}))
    uid = await until(made, what="the run")
    await until(waits, what="the place of a request that waits")
    # As many may wait as may be under way; others get their answer at once.
    other = await client.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=60"})
    assert (other.status_code, other.headers.get("Preference-Applied")) == (202, "wait=0"), other.text
    path = next(path for path, raw in kube.objects.items() if raw["metadata"]["uid"] == uid)
    raw = kube.put(path, {**kube.objects[path], "status": {"state": "Succeeded", "attempt": 1}})
    async with database.transaction() as session:
        await project(session, [raw], now=api.clock())
    assert (await waiting).status_code == 200
    assert (await client.get("/v1/jobs")).status_code == 200


async def test_who_asked_to_wait_is_not_late() -> None:
    """The time that a client wants to wait comes on top of what a request has."""
    granted: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with RequestContext.of(scope).aside(3600) as aside:
            granted.append(aside)
            await asyncio.sleep(0.5)
        await Response("done")(scope, receive, send)

    limits = LimitsMiddleware(app, settings=LimitSettings(request_timeout_seconds=0.2), metrics=Metrics())

    async def outermost(scope: Scope, receive: Receive, send: Send) -> None:
        with RequestContext("r", None).attached(scope):
            await limits(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(outermost), base_url="http://api") as client:
        assert (await client.get("/")).text == "done"
    assert granted == [True]


async def test_a_large_head_is_refused(start_api: StartApi) -> None:
    api, value = await start_api(max_header_bytes=2048), "x" * 3000
    for answer in (
        await api.client(None, **{"X-Custom": value}).get("/v1/jobs"),
        await api.client(None).get(f"/v1/jobs?name={value}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (431, "headers-too-large")
