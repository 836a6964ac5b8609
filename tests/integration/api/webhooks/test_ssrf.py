"""Attacks by URL: a webhook reaches nothing that it may not, however it is written, resolved or redirected."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.resolver import ThreadedResolver

from octo_api.webhooks.addresses import AddressPolicy
from octo_api.webhooks.sender import KEPT_BYTES, REFUSED, Sender
from tests.integration.api.conftest import Api, StartApi
from tests.support.webhook_receiver import Received, Receiver, receiver


@pytest.fixture
async def inside() -> AsyncIterator[Receiver]:
    """What must not be reached."""
    async with receiver() as made:
        yield made


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    made = Sender(AddressPolicy(), timeout_seconds=10, ca_file=None, user_agent="test")
    yield made
    await made.close()


URLS = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://127.0.0.1%2f:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
]


@pytest.mark.parametrize("url", URLS)
async def test_however_loopback_is_written(sender: Sender, inside: Receiver, url: str) -> None:
    answer = await sender.post(url.format(port=inside.port), headers={}, body=b"{}")
    assert answer.status is None
    assert answer.error
    assert inside.received == []


async def test_a_name_that_changes_its_mind(sender: Sender, inside: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: what is checked is what is connected to, and one bad address spoils a name."""
    asked: list[str] = []

    async def resolve(_: Any, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        asked.append(host)
        good = {"hostname": host, "host": "192.0.2.77", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [good, {**good, "host": "127.0.0.1"}]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    url = f"http://rebind.example:{inside.port}/"
    allowed = Sender(
        AddressPolicy(allowed=(ip_network("192.0.2.0/24"),)),
        timeout_seconds=10,
        ca_file=None,
        user_agent="test",
    )
    for each in (sender, allowed):
        answer = await each.post(url, headers={}, body=b"{}")
        assert (answer.status, answer.error) == (None, REFUSED)
    await allowed.close()
    assert asked == ["rebind.example"] * 2
    assert inside.received == []


async def test_no_proxy_of_the_environment(sender: Sender, inside: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, inside.url)
    made = Sender(AddressPolicy(), timeout_seconds=10, ca_file=None, user_agent="test")
    assert (await made.post("http://localhost/", headers={}, body=b"{}")).error == REFUSED
    await made.close()
    assert inside.received == []


async def test_an_answer_is_bounded_in_size_and_time(inside: Receiver) -> None:
    loopback = AddressPolicy(allowed=(ip_network("127.0.0.0/8"),))
    made = Sender(loopback, timeout_seconds=2, ca_file=None, user_agent="test")

    async def endless(_: Received) -> web.StreamResponse:
        return web.Response(body=b"x" * 50_000_000)

    inside.answer = endless
    answer = await made.post(inside.url, headers={}, body=b"{}")
    assert (answer.status, len(answer.body or "")) == (200, KEPT_BYTES)

    async def silent(_: Received) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    inside.answer = silent
    answer = await made.post(inside.url, headers={}, body=b"{}")
    assert (answer.status, answer.error) == (None, "no answer within 2 s")
    await made.close()


async def test_over_rest_too(start_api: StartApi, inside: Receiver) -> None:
    api: Api = await start_api()
    client = api.client(await api.keys.make())

    async def create(url: str) -> httpx.Response:
        return await client.post("/v1/webhooks", json={"name": "hook", "url": url})

    for url in (
        *(url.format(port=inside.port) for url in URLS),
        "http://example.com/",
        "https://user:password@example.com/",
        "https://example.com/#x",
        "https://exa\tmple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://example.com:99999/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "https://",
        "//example.com",
    ):
        answer = await create(url)
        assert answer.status_code == 422, url
        assert answer.headers["content-type"] == "application/problem+json"
    # A name is looked up when something is sent, each time.
    hook = (await create("https://localhost:1/")).json()
    test = (await client.post(f"/v1/webhooks/{hook['id']}:test")).json()
    assert (test["state"], test["error"], test["responseStatus"]) == ("Failed", REFUSED, None)
    assert inside.received == []
