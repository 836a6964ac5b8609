"""What becomes of the console when its connection, its stream or its session ends under it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from playwright.async_api import Route, expect

from octo_core.db import api_keys
from tests.integration.console.conftest import Visit, sign_in
from tests.integration.console.world import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_stream_goes_on_where_it_was_cut(visit: Visit, world: World) -> None:
    name = world.fresh("resumed")
    uid = await world.job(name)
    page = await visit("#/providers")
    asked_from: list[str | None] = []

    async def cut_the_first(route: Route) -> None:
        asked_from.append(await route.request.header_value("Last-Event-ID"))
        if len(asked_from) > 1:
            await route.continue_()
            return
        first = await route.fetch(headers={**await route.request.all_headers(), "Accept": "application/json"})
        document = (await first.json())["items"][0]
        # One event, and the end of the connection.
        said = {"retry": 50, "id": document["id"], "event": document["type"], "data": json.dumps(document)}
        body = "".join(f"{field}: {value}\n" for field, value in said.items()) + "\n"
        await route.fulfill(status=200, content_type="text/event-stream", body=body)

    await page.route(f"**/v1/jobs/{uid}/events*", cut_the_first)
    await world.bring(name, state="Running", attempt=1)
    await page.evaluate(f"location.hash = '#/jobs/{uid}'")
    events = page.locator("ol.events li")
    await expect(events).to_have_count(2)
    await world.bring(name, state="Succeeded", attempt=1)
    # Each once, the one before the cut among them.
    await expect(events).to_have_count(3)
    assert asked_from[:2] == [None, "1"]


async def test_without_a_stream_it_looks_again_and_again(visit: Visit, world: World) -> None:
    name = world.fresh("polled")
    page = await visit("#/providers")
    await page.route("**/v1/events*", lambda route: route.abort())
    await page.evaluate(f"location.hash = '#/jobs?namePrefix={name}'")
    await expect(page.locator(".stream")).to_have_text("Looking every few seconds")
    await expect(page.get_by_text("No run matches.")).to_be_visible()
    await world.job(name)
    row = page.locator("tbody tr", has_text=name)
    await expect(row).to_contain_text("Pending")
    await world.bring(name, state="Succeeded", attempt=1)
    await expect(row).to_contain_text("Succeeded")
    # And it is live again when streams get through.
    await page.unroute("**/v1/events*")
    await expect(page.locator(".stream")).to_have_text("Live")


async def test_a_session_that_ended_asks_for_the_next_one(visit: Visit, world: World) -> None:
    name = world.fresh("watched")
    await world.job(name, state="Running", attempt=1)
    key = await world.another_key("jobs:read")
    page = await visit(f"#/jobs?namePrefix={name}", signed_in=False)
    await sign_in(page, key.text)
    await expect(page.locator("a.name")).to_have_text(name)
    async with world.database.transaction() as session:
        await api_keys.revoke(session, key.id, now=datetime.now(UTC))
    # It looks at the run that is under way, and is told so.
    await expect(page.get_by_label("API key")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("Your session is over")
    assert await page.evaluate("sessionStorage.length") == 0
    # The next one goes on where this one was.
    await sign_in(page, world.key.text)
    await expect(page.locator("a.name")).to_have_text(name)
    await world.bring(name, state="Succeeded", attempt=1)
