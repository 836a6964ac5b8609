"""The console by keyboard alone: no test in here touches a mouse, nor gives the focus to anything by other means."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.integration.console.conftest import Visit
from tests.integration.console.world import FAILED_RUN, GOOD_RUN, World
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="package")

# What can be come to, in the order of the document.
STOPS = """
  const folded = "details:not([open]) > :not(summary)";
  const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(
    (each) => each.checkVisibility() && !each.closest(folded) && !each.disabled && each.tabIndex >= 0);
"""
NAMES = f"""() => {{
  {STOPS}
  return all.map((each) => each.getAttribute("aria-label") || each.name || each.textContent.trim().slice(0, 30));
}}"""
HERE = f"""() => {{
  {STOPS}
  const it = document.activeElement;
  const style = getComputedStyle(it);
  const box = it.getBoundingClientRect();
  const points = [[0.5, 0.5], [0.1, 0.5], [0.9, 0.5], [0.5, 0.1], [0.5, 0.9]].map(([x, y]) =>
    document.elementFromPoint(box.left + box.width * x, box.top + box.height * y));
  return {{
    stop: it === document.body ? null : all.indexOf(it),
    scrolls: it.scrollWidth > it.clientWidth || it.scrollHeight > it.clientHeight,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    inSight: points.some((each) => each !== null && (it.contains(each) || each.contains(it))),
    what: it.outerHTML.slice(0, 160),
  }};
}}"""
WALKED = {
    "jobs": ("#/jobs?namePrefix=archived-00", "a.name"),
    "job": (f"#/jobs/{FAILED_RUN}", "section.why"),
    "files": (f"#/jobs/{GOOD_RUN}?tab=files", "table.files button"),
    "log": (f"#/jobs/{FAILED_RUN}?tab=logs", "[aria-label='Copy the log']"),
    "spec": (f"#/jobs/{FAILED_RUN}?tab=spec", "pre.code"),
    "providers": ("#/providers", "a.name"),
    "provider": ("#/providers/bank", "a.name"),
    "history": ("#/history?days=30", "svg.calendar a"),
}


async def focused_on(page: Page, role: str, name: str) -> None:
    """Press Tab until the focus is on this."""
    wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]  # roles by name
    await expect(wanted).to_have_count(1)
    for _ in range(150):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("(each) => each === document.activeElement"):
            return
    pytest.fail(f"Tab never comes to the {role} {name!r}")


async def signed_in(visit: Visit, world: World, address: str) -> Page:
    """A page whose visitor has used the keyboard from the start."""
    page = await visit(address, signed_in=False)
    await expect(page.get_by_role("heading", name="Sign in to Octo")).to_be_focused()
    for _ in range(5):
        await page.keyboard.press("Tab")
        if await page.get_by_label("API key").evaluate("(each) => each === document.activeElement"):
            break
    await page.keyboard.type(world.key.text)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    return page


async def drawn(page: Page, address: str, ready: str) -> None:
    """Go to a page and wait until it is drawn; from then on it hears no answer, so that it stays as it is."""
    under_way: set[Request] = set()

    def asked(request: Request) -> None:
        # What goes on for ever is not waited for; it changes nothing but by what is asked after it.
        if "/v1/" in request.url and "/events" not in request.url and "follow=true" not in request.url:
            under_way.add(request)

    def answered(request: Request) -> None:
        under_way.discard(request)

    def hold(route: Route) -> None:
        under_way.discard(route.request)

    page.on("request", asked)
    page.on("requestfinished", answered)
    page.on("requestfailed", answered)
    await page.evaluate(f"location.hash = '{address}'")
    await expect(page.locator(ready)).not_to_have_count(0)
    await page.route("**/v1/**", hold)

    async def settled() -> bool:
        return not under_way

    await until(settled, what="the answers that were asked for")


@pytest.mark.parametrize("name", WALKED)
async def test_tab_comes_by_all_there_is_in_the_order_of_the_page(visit: Visit, world: World, name: str) -> None:
    page = await signed_in(visit, world, "#/nowhere")
    await drawn(page, *WALKED[name])
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    # From the heading back to the very top, then all the way down.
    here = await page.evaluate(HERE)
    for _ in range(60):
        if here["stop"] == 0:
            break
        await page.keyboard.press("Shift+Tab")
        here = await page.evaluate(HERE)
    names = await page.evaluate(NAMES)
    walked: list[int] = []
    for _ in range(3 * len(names) + 60):
        if here["stop"] is None:
            break
        assert here["outlined"], here
        assert here["inSight"], here
        if here["stop"] < 0:
            # What scrolls can be come to as well, so that it can be scrolled.
            assert here["scrolls"], here
        elif walked[-1:] != [here["stop"]]:
            walked.append(here["stop"])
        await page.keyboard.press("Tab")
        here = await page.evaluate(HERE)
    assert walked == list(range(len(names))), (names, walked)


async def test_past_the_menu_in_one_step(visit: Visit, world: World) -> None:
    page = await signed_in(visit, world, "#/providers")
    heading = page.get_by_role("heading", name="Providers", exact=True)
    await expect(heading).to_be_focused()
    skip = page.get_by_role("link", name="To the page")
    for _ in range(20):
        await page.keyboard.press("Shift+Tab")
        if await skip.evaluate("(each) => each === document.activeElement"):
            break
    await expect(skip).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(heading).to_be_focused()
    assert page.url.endswith("#/providers")


async def test_runs_are_filtered_and_opened(visit: Visit, world: World) -> None:
    page = await signed_in(visit, world, "#/jobs")
    names = page.locator("a.name")
    await expect(names).to_have_count(50)
    await page.keyboard.press("/")
    await page.keyboard.type("broker-")
    await page.keyboard.press("Enter")
    await expect(names).to_have_count(1)
    await expect(page.get_by_label("Name begins with")).to_be_focused()
    await focused_on(page, "combobox", "Failed for")
    await page.keyboard.press("D")
    await expect(page).to_have_url(re.compile("failureCategory=Decrypt"))
    await expect(page.get_by_role("combobox", name="Failed for")).to_be_focused()
    # The link that clears the filters goes with them; the focus does not go with it.
    await focused_on(page, "link", "Clear")
    await page.keyboard.press("Enter")
    await expect(names).to_have_count(50)
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_focused()
    await focused_on(page, "button", "Failed")
    await page.keyboard.press("Space")
    await expect(page).to_have_url(re.compile(r"state=Failed$"))
    failed = page.get_by_role("button", name="Failed", exact=True)
    await expect(failed).to_be_focused()
    await expect(failed).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await expect(names.first).to_be_focused()
    name = str(await names.first.text_content())
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=name)).to_be_focused()


async def test_older_runs_begin_at_their_top(visit: Visit, world: World) -> None:
    page = await signed_in(visit, world, "#/jobs?namePrefix=archived-")
    names = page.locator("a.name")
    await expect(names.first).to_have_text("archived-000")
    await focused_on(page, "link", "Older")
    await page.keyboard.press("Enter")
    await expect(names.first).to_have_text("archived-050")
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_focused()
    await expect(names.first).to_be_in_viewport()


async def test_the_parts_of_a_run(visit: Visit, world: World) -> None:
    page = await signed_in(visit, world, f"#/jobs/{FAILED_RUN}")
    await focused_on(page, "tab", "Overview")
    for key, name in (
        ("ArrowRight", "Files"),
        ("End", "As asked for"),
        ("ArrowRight", "Overview"),
        ("ArrowLeft", "As asked for"),
    ):
        await page.keyboard.press(key)
        tab = page.get_by_role("tab", name=name)
        await expect(tab).to_be_focused()
        await expect(tab).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowRight")
    files = page.locator("table.files tbody tr")
    await expect(files).to_have_count(100)
    await focused_on(page, "combobox", "Outcome")
    await page.keyboard.type("Failed")
    await expect(files).to_have_count(3)
    await page.keyboard.press("Home")
    await expect(files).to_have_count(100)
    await focused_on(page, "textbox", "Path begins with")
    await page.keyboard.type("nowhere")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No file matches.")).to_be_visible()
    await expect(page.get_by_label("Path begins with")).to_be_focused()


async def test_more_files_go_on_where_one_was(visit: Visit, world: World) -> None:
    page = await signed_in(visit, world, f"#/jobs/{FAILED_RUN}?tab=files")
    files = page.locator("table.files tbody tr")
    await expect(files).to_have_count(100)
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    for _ in range(400):
        await page.keyboard.press("Tab")
        if await page.get_by_role("button", name="More").evaluate("(each) => each === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(files).to_have_count(140)
    await expect(page.get_by_text("140 files", exact=True)).to_be_focused()


async def test_a_question_is_answered_and_gives_the_focus_back(visit: Visit, world: World) -> None:
    name = world.fresh("by-keys")
    uid = await world.job(name, state="Running", attempt=1)
    page = await signed_in(visit, world, f"#/jobs/{uid}")
    await focused_on(page, "button", "Cancel")
    asked = page.get_by_role("dialog", name="Cancel this run?")
    button = page.get_by_role("button", name="Cancel", exact=True)
    for way_out in ("Escape", "Back"):
        await page.keyboard.press("Enter")
        await expect(asked.get_by_label("Reason (optional)")).to_be_focused()
        # Nothing behind the question can be come to.
        inside = Counter[str]()
        for _ in range(8):
            await page.keyboard.press("Tab")
            inside[
                await page.evaluate("(document.activeElement.closest('dialog') ?? document.activeElement).tagName")
            ] += 1
        assert set(inside) <= {"DIALOG", "BODY"}
        assert inside["DIALOG"] >= 5
        if way_out == "Back":
            while not await asked.get_by_role("button", name="Back").evaluate(
                "(each) => each === document.activeElement"
            ):
                await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")
        else:
            await page.keyboard.press("Escape")
        await expect(asked).to_have_count(0)
        await expect(button).to_be_focused()
    assert "cancel" not in await world.spec(name)
    await page.keyboard.press("Enter")
    await page.keyboard.type("seen enough")
    await page.keyboard.press("Enter")
    await expect(asked).to_have_count(0)
    assert (await world.spec(name))["cancel"]["reason"] == "seen enough"
    await world.bring(name, state="Cancelling", attempt=1)
    await expect(page.get_by_role("button", name="End by force")).to_be_visible()
    # The button that was used is gone.
    await expect(page.get_by_role("heading", name=name)).to_be_focused()
    await focused_on(page, "button", "End by force")
    await page.keyboard.press("Enter")
    # And while the second question is asked, the run ends.
    await expect(page.get_by_role("dialog", name="End this run by force?")).to_be_visible()
    ended = {"type": "Succeeded", "status": "False", "reason": "Cancelled", "message": "cancelled"}
    await world.bring(name, state="Cancelled", attempt=1, conditions=[ended])
    await expect(page.locator(".summary")).to_contain_text("Cancelled")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_role("heading", name=name)).to_be_focused()


async def test_a_run_is_held_and_let_go(visit: Visit, world: World) -> None:
    name = world.fresh("held-by-keys")
    uid = await world.job(name)
    page = await signed_in(visit, world, f"#/jobs/{uid}")
    for verb, held in (("Hold", True), ("Let it go on", False)):
        await focused_on(page, "button", verb)
        await page.keyboard.press("Enter")
        asked = page.get_by_role("dialog")
        await expect(asked).to_be_visible()
        while not await asked.get_by_role("button", name=verb).evaluate("(each) => each === document.activeElement"):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(asked).to_have_count(0)
        assert (await world.spec(name))["suspend"] is held
        await world.bring(name, state="Suspended" if held else "Pending")
        await expect(page.get_by_role("heading", name=name)).to_be_focused()
    await world.bring(name, state="Succeeded", attempt=1)


async def test_a_rerun_leads_to_the_new_run(visit: Visit, world: World) -> None:
    page = await signed_in(visit, world, f"#/jobs/{FAILED_RUN}")
    await focused_on(page, "button", "Rerun failed files")
    await page.keyboard.press("Enter")
    asked = page.get_by_role("dialog", name="Rerun the failed files?")
    while not await asked.get_by_role("button", name="Rerun failed files").evaluate(
        "(each) => each === document.activeElement"
    ):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page).not_to_have_url(re.compile(f"/{FAILED_RUN}"))
    await expect(page.get_by_role("link", name="an earlier run")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_be_focused()


async def test_a_provider_is_run_from_its_row(visit: Visit, world: World) -> None:
    page = await signed_in(visit, world, "#/providers")
    await expect(page.locator("a.name")).to_have_count(5)
    await page.keyboard.press("j")
    await expect(page.get_by_role("link", name="bank", exact=True)).to_be_focused()
    await focused_on(page, "button", "Run broker now")
    await page.keyboard.press("Enter")
    asked = page.get_by_role("dialog", name="Run broker now?")
    await expect(asked).to_be_visible()
    # The list is drawn anew behind the question, as it is after any event.
    await page.evaluate("document.querySelector('[data-key=run-broker]').dataset.old = 'yes'")
    await world.job(world.fresh("elsewhere"), state="Succeeded", attempt=1)
    await expect(page.locator("[data-key=run-broker][data-old]")).to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Run broker now")).to_be_focused()
    await page.keyboard.press("Enter")
    while not await asked.get_by_role("button", name="Run now").evaluate("(each) => each === document.activeElement"):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("#/jobs/"))
    await expect(page.locator(".summary")).to_contain_text("Pending")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()


async def test_what_is_drawn_again_while_a_run_goes_on_keeps_the_focus(visit: Visit, world: World) -> None:
    name = world.fresh("watched-by-keys")
    attempts = [{"number": 1, "startTime": "2026-01-02T03:04:05Z"}]
    uid = await world.job(name, state="Running", attempt=1, attempts=attempts)
    page = await signed_in(visit, world, f"#/jobs/{uid}")
    done = 0
    for role, label in (("region", "Attempts over time"), ("button", "Copy the run's id")):
        await focused_on(page, role, label)
        place = page.get_by_role(role, name=label)  # type: ignore[arg-type]  # roles by name
        # What took the place of the first is replaced as well.
        for _ in range(3):
            await place.evaluate("(each) => (each.dataset.old = 'yes')")
            done += 1
            summary = f"{done}/{done + 4}"
            progress = {"filesSelected": done + 4, "filesDone": done, "summary": summary}
            await world.bring(name, state="Running", attempt=1, attempts=attempts, progress=progress)
            await expect(page.locator(".progress.large")).to_contain_text(summary)
            await expect(page.locator("[data-old]")).to_have_count(0)
            await expect(place).to_be_focused()
    await world.bring(name, state="Succeeded", attempt=1)


async def test_the_log_the_colours_and_the_way_out(visit: Visit, world: World) -> None:
    page = await signed_in(visit, world, f"#/jobs/{FAILED_RUN}?tab=logs")
    log = page.get_by_role("region", name="Log")
    await expect(log).to_contain_text("the end")
    await focused_on(page, "combobox", "Attempt")
    await page.keyboard.type("1")
    await expect(log).to_have_text("the first attempt\n")
    await focused_on(page, "checkbox", "Times")
    await page.keyboard.press("Space")
    await expect(log).to_contain_text("2026-01-02T03:04:00Z the first attempt")
    await expect(page.get_by_role("checkbox", name="Times")).to_be_focused()
    await page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    await expect(keys).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(keys).to_have_count(0)
    await page.keyboard.press("g")
    await page.keyboard.press("h")
    await expect(page.get_by_role("heading", name="History", exact=True)).to_be_focused()
    await page.keyboard.press("g")
    await page.keyboard.press("j")
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_focused()
    theme = page.locator("button.theme")
    for _ in range(20):
        await page.keyboard.press("Shift+Tab")
        if await theme.evaluate("(each) => each === document.activeElement"):
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await expect(theme).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Sign in to Octo")).to_be_focused()
