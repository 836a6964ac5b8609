"""The calendar of runs and the plots, figure by figure against what the API says, wherever the reader's clock is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.integration.console.conftest import Visit
from tests.integration.console.world import World, iso, raw_run

pytestmark = pytest.mark.asyncio(loop_scope="package")

Days = dict[date, dict[str, int]]
ZONES = ("UTC", "Pacific/Kiritimati", "America/Los_Angeles")
RUNS = (
    # Days before today, time of its end, state, files, bytes: around midnight, and days of their own.
    (20, "23:59:59", "Succeeded", 3, 1_000),
    (19, "00:00:00", "Succeeded", 5, 20_000_000),
    (19, "12:00:00", "Failed", 2, 0),
    (19, "23:59:59", "Cancelled", 0, 0),
    (18, "00:00:00", "Failed", 1, 0),
    (9, "08:30:00", "Succeeded", 40, 3_500_000_000),
    (2, "17:00:00", "Succeeded", 7, 900_000),
)


@dataclass(frozen=True)
class Past:
    """A namespace with runs, by name, whose days are known; ``today`` stays what it was when they were made."""

    namespace: str
    today: date

    def ended_on(self, day: date) -> set[str]:
        return {f"day-{n}" for n, (ago, *_) in enumerate(RUNS) if self.today - timedelta(days=ago) == day}


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def past(world: World) -> Past:
    name = f"{world.namespace}-days"
    today = datetime.now(UTC).date()
    raws = []
    for number, (ago, ended, state, files, size) in enumerate(RUNS):
        end = datetime.fromisoformat(f"{today - timedelta(days=ago)}T{ended}+00:00")
        progress = {"filesSelected": files, "filesDone": files, "bytesDownloaded": size // 2, "bytesUploaded": size}
        status = {"state": state, "startTime": iso(end - timedelta(hours=1)), "completionTime": iso(end)}
        made = end - timedelta(hours=2)
        raw = raw_run(world, f"day-{number}", f"day-{number}", "bank", made, {**status, "progress": progress}, 1)
        raw["metadata"]["namespace"] = name
        raws.append(raw)
    await world.mirror(*raws)
    return Past(name, today)


async def figures(world: World, namespace: str, days: int) -> Days:
    """What the API says of each day that has a run."""
    async with httpx.AsyncClient(base_url=world.url, headers={"X-API-Key": world.key.text}, timeout=120) as client:
        answer = await client.get("/v1/summary", params={"namespace": namespace, "days": days})
    assert answer.status_code == 200, answer.text
    found: Days = {}
    for each in answer.json()["days"]:
        day = found.setdefault(date.fromisoformat(each["day"]), {})
        day[each["outcome"]] = each["runs"]
        for name in ("runs", "files", "bytesDownloaded", "bytesUploaded"):
            day[name] = day.get(name, 0) + each[name]
    return found


async def names_of(page: Page, days: Days) -> dict[date, str]:
    """How the browser writes these days; which comma stands in it is a matter of its version."""
    style = '{weekday: "short", day: "numeric", month: "short", timeZone: "UTC"}'
    script = f'(days) => days.map((day) => new Intl.DateTimeFormat("en-GB", {style}).format(new Date(day)))'
    return dict(zip(sorted(days), await page.evaluate(script, [str(day) for day in sorted(days)]), strict=True))


def counts(of: dict[str, int]) -> str:
    """What a cell says of its day."""
    return f"{of['runs']} runs, {of.get('Failed', 0)} failed, {of.get('Cancelled', 0)} cancelled"


@pytest.mark.parametrize("zone", ZONES)
async def test_each_cell_says_what_the_api_says_and_leads_to_its_runs(
    visit: Visit, world: World, past: Past, zone: str
) -> None:
    page = await visit(f"#/history?days=30&namespace={past.namespace}", timezone_id=zone)
    await expect(page.get_by_role("heading", name="Runs that ended, by day (UTC)")).to_be_visible()
    found = await figures(world, past.namespace, 30)
    assert len(found) == len({ago for ago, *_ in RUNS})
    cells = page.locator("svg.calendar a")
    await expect(cells).to_have_count(len(found))
    names = await names_of(page, found)
    labels = [str(await cell.get_attribute("aria-label")) for cell in await cells.all()]
    assert labels == [f"{name}: {counts(found[day])}" for day, name in names.items()]
    # The same is said to who points at it, and a day without a run leads nowhere.
    titles = await page.locator("svg.calendar title").all_text_contents()
    assert len(titles) == 30
    assert [title for title in titles if not title.endswith(": no runs")] == labels
    for place, day in enumerate(sorted(found)):
        await cells.nth(place).focus()
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(rf"#/jobs\?day={day}&namespace={past.namespace}$"))
        await expect(page.locator("a.name")).to_have_count(found[day]["runs"])
        assert set(await page.locator("a.name").all_text_contents()) == past.ended_on(day)
        await page.go_back()
        await expect(cells).to_have_count(len(found))


async def test_the_cells_are_come_to_by_tab_in_the_order_of_days(visit: Visit, world: World, past: Past) -> None:
    page = await visit(f"#/history?days=30&namespace={past.namespace}")
    found = await figures(world, past.namespace, 30)
    cells = page.locator("svg.calendar a")
    await expect(cells).to_have_count(len(found))
    names = await names_of(page, found)
    await page.get_by_role("region", name="Calendar").focus()
    before = await page.locator("svg.calendar").screenshot()
    for day in sorted(found):
        await page.keyboard.press("Tab")
        assert (
            await page.evaluate("document.activeElement.getAttribute('aria-label')")
            == f"{names[day]}: {counts(found[day])}"
        )
        # And one sees where one is.
        now = await page.locator("svg.calendar").screenshot()
        assert now != before, day
        before = now


async def test_the_plots_show_the_figures_of_the_api(visit: Visit, world: World, past: Past) -> None:
    page = await visit(f"#/history?days=30&namespace={past.namespace}")
    found = await figures(world, past.namespace, 30)
    await expect(page.locator("svg.calendar a")).to_have_count(len(found))
    names = await names_of(page, found)
    for title, name, words in (("Files stored", "files", count), ("Bytes written", "bytesUploaded", in_bytes)):
        card = page.locator("section.card", has=page.get_by_role("heading", name=title))
        values = {day: found[day][name] for day in sorted(found) if found[day][name]}
        most, total = max(values.values()), sum(values.values())
        label = f"{words(total)} in 30 days, {words(most)} on the busiest"
        await expect(card.get_by_role("img", name=label)).to_be_visible()
        bars = await card.evaluate(
            """(card) => [...card.querySelectorAll("rect")].map((each) =>
                 [each.querySelector("title").textContent, each.height.baseVal.value, each.x.baseVal.value])"""
        )
        assert [bar[0] for bar in bars] == [f"{names[day]}: {words(value)}" for day, value in values.items()]
        tallest = max(bar[1] for bar in bars)
        for (_, height, _), value in zip(bars, values.values(), strict=True):
            assert height == pytest.approx(max(1, tallest * value / most))
        # One place for each day, from the first to the last.
        step = (bars[-1][2] - bars[0][2]) / (max(values) - min(values)).days
        for (_, _, x), day in zip(bars, values, strict=True):
            assert x == pytest.approx(bars[0][2] + step * (day - min(values)).days)
        assert (await card.locator("text.end").first.text_content()) == words(most)


async def test_the_table_says_the_same_in_numbers(visit: Visit, world: World, past: Past) -> None:
    page = await visit(f"#/history?days=30&namespace={past.namespace}")
    found = await figures(world, past.namespace, 30)
    names = await names_of(page, found)
    rows = page.get_by_role("region", name="In numbers").locator("tbody tr")
    await expect(rows).to_have_count(len(found))
    for row, day in zip(await rows.all(), sorted(found, reverse=True), strict=True):
        of = found[day]
        numbers = [count(of.get(name, 0)) for name in ("runs", "Succeeded", "Failed", "Cancelled", "files")]
        sizes = [in_bytes(of[name]) for name in ("bytesDownloaded", "bytesUploaded")]
        wanted = [
            names[day],
            *(each if each not in ("0", "0 B") else "–" for each in (*numbers, *sizes)),
        ]
        assert await row.locator("td").all_text_contents() == wanted
        await expect(row.get_by_role("link")).to_have_attribute("href", f"#/jobs?day={day}&namespace={past.namespace}")


async def test_the_counts_of_now_lead_to_their_runs(visit: Visit, world: World, past: Past) -> None:
    page = await visit(f"#/history?days=30&namespace={past.namespace}")
    now = page.locator("ul.counts a")
    states: dict[str, int] = {}
    for _, _, state, *_ in RUNS:
        states[state] = states.get(state, 0) + 1
    await expect(now).to_have_count(len(states))
    for state, runs in states.items():
        link = page.get_by_role("link", name=f"{state} {runs}")
        await link.click()
        await expect(page.locator("a.name")).to_have_count(runs)
        await page.go_back()
        await expect(now).to_have_count(len(states))


def count(value: int) -> str:
    """12,345"""
    return f"{value:,}"


def in_bytes(value: int) -> str:
    """1.5 GiB"""
    rest, units = float(value), ["B", "KiB", "MiB", "GiB"]
    while rest >= 1024 and len(units) > 1:
        rest /= 1024
        units.pop(0)
    return f"{rest:.1f} {units[0]}" if units[0] != "B" and rest < 100 else f"{rest:.0f} {units[0]}"
