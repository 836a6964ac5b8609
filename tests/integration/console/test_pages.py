"""How the console's pages look: for those who see them, on both widths, and for those who do not (axe)."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from importlib import resources
from typing import Any, Literal

import pytest
from playwright.async_api import Page, expect

from tests.integration.console.conftest import Visit, sign_in
from tests.integration.console.world import FAILED_RUN, World
from tests.support.kubectl import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="package")

SCREENSHOTS = ROOT / ".octo" / "artifacts" / "console"
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}

# Of a long table, the first rows stand for all: they are made alike.
PLACES = {"exclude": [["tbody tr:nth-child(n + 6)"], ["ol.events li:nth-child(n + 4)"]]}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

Ready = Callable[[Page], Coroutine[Any, Any, None]]


async def _signin(page: Page) -> None:
    await expect(page.get_by_label("API key")).to_be_visible()


async def _jobs(page: Page) -> None:
    await expect(page.locator("a.name")).to_have_count(50)


async def _nothing(page: Page) -> None:
    await expect(page.get_by_text("No run matches.")).to_be_visible()


async def _job(page: Page) -> None:
    await expect(page.get_by_role("region", name="Why")).to_be_visible()
    await expect(page.locator("ol.events li")).to_have_count(6)


async def _files(page: Page) -> None:
    await expect(page.locator("table.files tbody tr")).to_have_count(100)


async def _log(page: Page) -> None:
    await expect(page.get_by_role("region", name="Log")).to_contain_text("the end")


async def _spec(page: Page) -> None:
    await expect(page.locator("pre.code")).to_contain_text("providerRef")


async def _providers(page: Page) -> None:
    await expect(page.locator("a.name")).to_have_count(5)


async def _history(page: Page) -> None:
    await expect(page.locator("svg.calendar a")).not_to_have_count(0)


async def _provider(page: Page) -> None:
    await expect(page.locator("a.name")).not_to_have_count(0)
    await expect(page.locator("ol.plain li")).to_have_count(5)


async def _question(page: Page) -> None:
    await page.get_by_role("button", name="Rerun", exact=True).click()
    await expect(page.get_by_role("dialog")).to_be_visible()


async def _keys(page: Page) -> None:
    await _nothing(page)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


PAGES: dict[str, tuple[str, Ready]] = {
    "signin": ("", _signin),
    "jobs": ("#/jobs", _jobs),
    "jobs-none": ("#/jobs?requestedBy=nobody&state=Failed", _nothing),
    "job": (f"#/jobs/{FAILED_RUN}", _job),
    "job-files": (f"#/jobs/{FAILED_RUN}?tab=files", _files),
    "job-log": (f"#/jobs/{FAILED_RUN}?tab=logs", _log),
    "job-spec": (f"#/jobs/{FAILED_RUN}?tab=spec", _spec),
    "providers": ("#/providers", _providers),
    "provider": ("#/providers/bank", _provider),
    "history": ("#/history", _history),
    "question": (f"#/jobs/{FAILED_RUN}", _question),
    "keys": ("#/jobs?requestedBy=nobody", _keys),
}


@pytest.mark.parametrize("width", WIDTHS)
async def test_every_page_is_open_to_all(visit: Visit, world: World, width: str) -> None:
    """One context for all pages of a width; each is looked at in both themes, and its screenshots are kept."""
    size = WIDTHS[width]
    page = await visit(signed_in=False, width=size[0], height=size[1], color_scheme="light", reduced_motion="reduce")
    for name, (address, ready) in PAGES.items():
        if name != "signin":
            if await page.get_by_label("API key").is_visible():
                await sign_in(page, world.key.text)
            # A page of its own, also where only what stands behind the # differs.
            await page.goto("about:blank")
            await page.goto(f"{world.url}/console/{address}")
        await ready(page)
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme)
            await page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{theme}.png")
            assert await _judged(page) == {}, (name, theme)
        await page.emulate_media(color_scheme="light")
        # Nothing hangs out to the side.
        assert (
            await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        ), name


async def _judged(page: Page) -> dict[str, list[str]]:
    """What axe finds wrong, by rule: the places."""
    await page.evaluate(AXE)
    found = await page.evaluate(f"axe.run({json.dumps(PLACES)}, {json.dumps(RULES)})")
    return {each["id"]: [node["html"][:200] for node in each["nodes"]] for each in found["violations"]}
