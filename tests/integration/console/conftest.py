"""One api and one browser for all tests of the console; a context of its own for each test.

Each test ends with what holds for all of them: nothing was asked of another server, no script failed, and the browser
found nothing against the page's policy.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Route,
    async_playwright,
    expect,
)
from pydantic import SecretStr

from octo_api.auth.credentials import hash_secret, new_key
from octo_core.db import api_keys
from octo_core.db.api_keys import ApiKey
from octo_core.db.session import Database
from octo_core.kube.client import KubeClient
from octo_core.settings import DatabaseSettings
from tests.integration.console.issuer import CLIENT, PERSON, issuer
from tests.integration.console.world import PEPPER, World, furnish
from tests.support.api_process import api_process
from tests.support.browser import ARGUMENTS, FILES, chromium
from tests.support.control_plane import ControlPlane
from tests.support.postgres import PostgresServer

PATIENCE = 240_000
expect.set_options(timeout=PATIENCE)

Visit = Callable[..., Coroutine[Any, Any, Page]]


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(
    postgres: PostgresServer,
    _template: str,
    bare_control_plane: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    """The api, and what it shows."""
    folder = tmp_path_factory.mktemp("console")
    name, namespace = f"console_{uuid.uuid4().hex[:12]}", f"octo-{secrets.token_hex(4)}"
    connection = await asyncpg.connect(postgres.url("postgres"))
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {_template}")
    await connection.close()
    bare_control_plane.kubectl("default")("create", "namespace", namespace)
    settings = DatabaseSettings(database_url=SecretStr(postgres.url(name)))
    async with AsyncExitStack() as stack:
        database = Database(settings, application_name="test")
        stack.push_async_callback(database.close)
        kube = await stack.enter_async_context(await KubeClient.connect(str(bare_control_plane.kubeconfig), timeout=60))
        key = new_key(secrets.token_bytes(40))
        async with database.transaction() as session:
            await api_keys.put(
                session, ApiKey(key.id, "operator", hash_secret(PEPPER, key.secret), ("*",), ("*",), None)
            )
        provider = stack.enter_context(issuer())
        api = await stack.enter_async_context(
            api_process(
                database_url=postgres.url(name),
                kubeconfig=bare_control_plane.kubeconfig,
                pepper=PEPPER,
                log=folder / "api.log",
                namespace=namespace,
                failed_logins_per_minute=0,
                oidc_issuer=provider.url,
                oidc_audience=CLIENT,
                console_oidc_client_id=CLIENT,
                auth_bindings=json.dumps([{"users": [f"oidc:{PERSON}"], "scopes": ["jobs:read", "providers:read"]}]),
            )
        )
        made = World(database, kube, namespace, api.url, key, provider.url)
        await furnish(made)
        yield made


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a window, with a profile that is new and gone afterwards."""
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield made
        await made.close()


class Watch:
    """What a context's pages ask for and complain of."""

    def __init__(self, context: BrowserContext) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.signs_in = False
        """Whether a test of this context signs in with the identity provider."""
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        # A refusal of the api is told on the page; the browser notes it too.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)


@pytest_asyncio.fixture(loop_scope="package")
async def visit(world: World, browser: Browser) -> AsyncIterator[Visit]:
    """Opens the console."""
    async with AsyncExitStack() as stack:
        watches: list[Watch] = []

        async def open_page(
            address: str = "",
            *,
            signed_in: bool = True,
            with_issuer: bool = False,
            width: int = 1280,
            height: int = 900,
            **options: Any,
        ) -> Page:
            context = await browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.push_async_callback(context.close)
            context.set_default_timeout(PATIENCE)
            await context.route(FILES, by_the_driver)
            stack.push_async_callback(context.unroute_all, behavior="ignoreErrors")
            watches.append(Watch(context))
            watches[-1].signs_in = with_issuer
            page = await context.new_page()
            await page.goto(f"{world.url}/console/{address}")
            if signed_in:
                await sign_in(page, world.key.text)
            return page

        yield open_page
        for watch in watches:
            assert watch.complaints == []
            # The identity provider, for whoever signs in with it, is the one exception.
            homes = (f"{world.url}/", f"{world.issuer}/", "about:")
            assert [url for url in watch.requests if not url.startswith(homes)] == []
            assert watch.signs_in or not [url for url in watch.requests if url.startswith(f"{world.issuer}/")]


async def by_the_driver(route: Route) -> None:
    """See ``FILES``."""
    await route.fulfill(response=await route.fetch())


async def sign_in(page: Page, key: str) -> None:
    """By API key, as a person does."""
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
