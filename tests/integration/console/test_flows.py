"""What one does with the console, in a real browser against a real api."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.integration.console.conftest import Visit, sign_in
from tests.integration.console.world import ARCHIVED, FAILED_RUN, World

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_signing_in_keeps_no_key(visit: Visit, world: World) -> None:
    page = await visit("#/providers", signed_in=False)
    await expect(page.get_by_role("heading", name="Sign in to Octo")).to_be_focused()
    await page.get_by_label("API key").fill("octo_wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("unknown, expired or revoked")
    await expect(page.get_by_label("API key")).to_be_focused()
    await sign_in(page, world.key.text)
    # Where one wanted to go.
    await expect(page.get_by_role("heading", name="Providers", exact=True)).to_be_focused()
    kept = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert "accessToken" not in kept
    assert world.key.secret not in kept
    await page.reload()
    await expect(page.get_by_role("heading", name="Providers", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("API key")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0


async def test_signing_in_with_an_identity_provider(visit: Visit, world: World) -> None:
    page = await visit("#/jobs?namePrefix=archived-00", signed_in=False, with_issuer=True)
    await page.get_by_role("button", name="Sign in with").click()
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    # Back where one wanted to go, with nothing of the sign-in left in the address.
    assert page.url == f"{world.url}/console/#/jobs?namePrefix=archived-00"
    await expect(page.locator("a.name")).to_have_count(10)
    await expect(page.get_by_text("oidc:ada")).to_be_visible()
    # An answer to a sign-in that was not begun here is none.
    await page.get_by_role("button", name="Sign out").click()
    await page.goto(f"{world.url}/console/?code=x&state=y")
    await expect(page.get_by_role("alert")).to_contain_text("was not begun here")


async def test_filters_live_in_the_address(visit: Visit) -> None:
    page = await visit("#/jobs")
    names = page.locator("a.name")
    await expect(names).to_have_count(50)
    await page.get_by_role("button", name="Failed", exact=True).click()
    await expect(page).to_have_url(re.compile(r"#/jobs\?state=Failed$"))
    await expect(page.get_by_role("button", name="Failed", exact=True)).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("button", name="Failed", exact=True)).to_be_focused()
    failed = 1 + sum(number % 9 == 4 for number in range(ARCHIVED))
    await expect(names).to_have_count(failed)
    await page.get_by_label("Provider").fill("broker")
    await page.keyboard.press("Enter")
    await page.get_by_label("Failed for").select_option("Decrypt")
    await page.get_by_label("Name begins with").fill("broker-")
    await page.keyboard.press("Enter")
    await expect(names).to_have_count(1)
    await expect(names).to_have_text("broker-nightly")
    address = page.url
    assert address.endswith("#/jobs?state=Failed&provider=broker&failureCategory=Decrypt&namePrefix=broker-")
    # Shared with somebody, it shows the same; and the way back is the browser's own.
    await page.reload()
    await expect(page.get_by_label("Provider")).to_have_value("broker")
    await expect(names).to_have_count(1)
    await page.go_back()
    await expect(page.get_by_label("Name begins with")).to_have_value("")
    await page.get_by_role("link", name="Clear").click()
    await expect(names).to_have_count(50)
    await page.get_by_label("Asked for by").fill("nobody")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No run matches.")).to_be_visible()


async def test_pages_of_runs(visit: Visit) -> None:
    page = await visit("#/jobs?namePrefix=archived-")
    names = page.locator("a.name")
    seen: list[str] = []
    for _ in range(2):
        await expect(names).to_have_count(50)
        seen += await names.all_text_contents()
        await page.get_by_role("link", name="Older").click()
        await expect(names.first).not_to_have_text(seen[-50])
    await expect(names).to_have_count(ARCHIVED - 100)
    seen += await names.all_text_contents()
    assert seen == [f"archived-{number:03}" for number in range(ARCHIVED)]
    await expect(page.get_by_role("link", name="Older")).to_have_count(0)
    await page.get_by_role("link", name="Newest").click()
    await expect(names.first).to_have_text("archived-000")


async def test_the_list_follows_the_runs(visit: Visit, world: World) -> None:
    name = world.fresh("live")
    page = await visit(f"#/jobs?namePrefix={name}")
    await expect(page.locator(".stream")).to_have_text("Live")
    await expect(page.get_by_text("No run matches.")).to_be_visible()
    await world.job(name)
    row = page.locator("tbody tr", has_text=name)
    await expect(row).to_contain_text("Pending")
    await row.get_by_role("link", name=name).focus()
    progress = {"filesSelected": 340, "filesDone": 12, "summary": "12/340"}
    await world.bring(name, state="Running", attempt=1, progress=progress)
    await expect(row).to_contain_text("Running")
    await expect(row).to_contain_text("12/340")
    # Nobody loses their place by it.
    await expect(row.get_by_role("link", name=name)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=name)).to_be_focused()
    await world.bring(name, state="Succeeded", attempt=1)


async def test_a_run_that_failed_says_why_and_what_to_do(visit: Visit, world: World) -> None:
    page = await visit(f"#/jobs/{FAILED_RUN}")
    await expect(page.get_by_role("heading", name="broker-nightly")).to_be_visible()
    why = page.get_by_role("region", name="Why")
    await expect(why).to_contain_text("Decrypt: 3 of 140 files are encrypted to a key that Octo does not have")
    await expect(why).to_contain_text("Give the provider's key Secret the private key")
    await expect(why).to_contain_text("no secret key 7F3A91C2")
    await expect(page.locator("ol.events li")).to_have_count(6)
    await expect(page.locator("svg.attempts g")).to_have_count(2)
    await expect(page.locator(".progress.large")).to_contain_text("137/140")
    for word in ("POST", "PATCH", "GET"):
        await expect(why).not_to_contain_text(word)


async def test_files_with_their_digests(visit: Visit) -> None:
    page = await visit(f"#/jobs/{FAILED_RUN}", permissions=["clipboard-read", "clipboard-write"])
    await page.get_by_role("tab", name="Files").click()
    files = page.locator("table.files tbody tr")
    await expect(files).to_have_count(100)
    await page.get_by_role("button", name="More").click()
    await expect(files).to_have_count(140)
    first = files.first
    await first.get_by_role("button", name="Copy the SHA-256 of the object").click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == await first.locator("code").first.get_attribute("title")
    assert re.fullmatch("[0-9a-f]{64}", copied)
    await page.get_by_label("Outcome").select_option("Failed")
    await expect(files).to_have_count(3)
    await expect(files.first).to_contain_text("encrypted to a key that Octo does not have")
    await expect(page).to_have_url(re.compile(r"\?tab=files$"))
    await page.get_by_label("Path begins with").fill("nowhere")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No file matches.")).to_be_visible()


async def test_the_log(visit: Visit) -> None:
    page = await visit(f"#/jobs/{FAILED_RUN}?tab=logs")
    log = page.get_by_role("region", name="Log")
    await expect(log).to_contain_text("line 399 of the log")
    await expect(log).to_contain_text("\\x1b[31mno colours")
    await expect(page.get_by_text("from the archive, to its end")).to_be_visible()
    await page.get_by_label("Attempt").select_option("1")
    await expect(log).to_have_text("the first attempt\n")


async def test_a_run_is_followed_and_cancelled(visit: Visit, world: World) -> None:
    name = world.fresh("to-cancel")
    uid = await world.job(name, state="Running", attempt=1)
    page = await visit(f"#/jobs/{uid}")
    await expect(page.locator(".summary")).to_contain_text("Running")
    await page.get_by_role("button", name="Cancel", exact=True).click()
    question = page.get_by_role("dialog", name="Cancel this run?")
    await question.get_by_role("button", name="Back").click()
    await expect(question).to_have_count(0)
    await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await question.get_by_label("Reason (optional)").fill("holiday")
    await question.get_by_role("button", name="Cancel the run").click()
    await expect(question).to_have_count(0)
    cancel = (await world.spec(name))["cancel"]
    assert (cancel["reason"], cancel["mode"], cancel["requestedBy"]) == ("holiday", "Graceful", "operator")
    await world.bring(name, state="Cancelling", attempt=1)
    await expect(page.get_by_role("button", name="End by force")).to_be_visible()
    condition = {"type": "Succeeded", "status": "False", "reason": "Cancelled", "message": "cancelled: holiday"}
    await world.bring(name, state="Cancelled", attempt=1, conditions=[condition])
    await expect(page.locator(".summary")).to_contain_text("Cancelled")
    await expect(page.get_by_role("region", name="Why")).to_contain_text("holiday")
    await expect(page.get_by_role("button", name="Rerun", exact=True)).to_be_visible()


async def test_a_run_that_is_held_goes_on(visit: Visit, world: World) -> None:
    name = world.fresh("to-hold")
    uid = await world.job(name)
    page = await visit(f"#/jobs/{uid}")
    await page.get_by_role("button", name="Hold").click()
    await page.get_by_role("dialog").get_by_role("button", name="Hold").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    raw = await world.bring(name, state="Suspended")
    assert raw["spec"]["suspend"] is True
    await page.get_by_role("button", name="Let it go on").click()
    await page.get_by_role("dialog").get_by_role("button", name="Let it go on").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert (await world.spec(name))["suspend"] is False


async def test_failed_files_are_run_again(visit: Visit, world: World) -> None:
    page = await visit(f"#/jobs/{FAILED_RUN}")
    await page.get_by_role("button", name="Rerun failed files").click()
    await page.get_by_role("dialog").get_by_role("button", name="Rerun failed files").click()
    await expect(page).not_to_have_url(re.compile(f"/{FAILED_RUN}"))
    await expect(page.get_by_role("link", name="an earlier run")).to_be_visible()
    spec = await world.spec(await world.named(page.url.rsplit("/", 1)[1]))
    assert spec["rerunOf"]["uid"] == FAILED_RUN
    assert len(spec["selection"]["files"]) == 3


async def test_providers_and_their_punctuality(visit: Visit, world: World) -> None:
    page = await visit("#/providers")
    verdicts = {
        "bank": "On time",
        "broker": "Behind",
        "exchange": "Overdue",
        "lender": "On demand",
        "rates": "On demand",
    }
    for name, word in verdicts.items():
        await expect(page.locator("tbody tr", has=page.get_by_role("link", name=name, exact=True))).to_contain_text(
            word
        )
    await page.get_by_role("link", name="bank", exact=True).click()
    await expect(page.get_by_role("heading", name="bank", exact=True)).to_be_focused()
    await expect(page.get_by_text("s3://landing/sftp")).to_be_visible()
    await expect(page.locator("ol.plain li")).to_have_count(5)
    await page.get_by_role("button", name="Run now").click()
    await page.get_by_role("dialog").get_by_role("button", name="Run now").click()
    await expect(page).to_have_url(re.compile("#/jobs/"))
    await expect(page.locator(".summary")).to_contain_text("Pending")
    spec = await world.spec(await world.named(page.url.rsplit("/", 1)[1]))
    assert (spec["providerRef"]["name"], spec["requestedBy"]) == ("bank", "operator")


async def test_a_day_of_the_calendar_leads_to_its_runs(visit: Visit) -> None:
    page = await visit("#/history?days=30")
    await expect(page.get_by_role("img", name=re.compile("in 30 days"))).to_have_count(2)
    cell = page.locator("svg.calendar a").nth(-3)
    words = str(await cell.get_attribute("aria-label"))
    ended = int(str(re.search(r": (\d+) runs", words)).split("'")[1].split()[1])
    await cell.click()
    await expect(page).to_have_url(re.compile(r"#/jobs\?day=\d{4}-\d\d-\d\d$"))
    await expect(page.locator("a.name")).to_have_count(ended)


async def test_who_may_only_read_is_offered_nothing_else(visit: Visit, world: World) -> None:
    key = await world.another_key("jobs:read", "providers:read")
    page = await visit(f"#/jobs/{FAILED_RUN}", signed_in=False)
    await sign_in(page, key.text)
    await expect(page.get_by_role("heading", name="broker-nightly")).to_be_visible()
    await expect(page.get_by_role("tab", name="Files")).to_be_visible()
    await expect(page.get_by_role("tab", name="Log")).to_have_count(0)
    await expect(page.get_by_role("button", name="Rerun")).to_have_count(0)


async def test_keys_and_colours(visit: Visit) -> None:
    page = await visit("#/jobs")
    await expect(page.locator("a.name")).to_have_count(50)
    await page.keyboard.press("g")
    await page.keyboard.press("p")
    await expect(page.get_by_role("heading", name="Providers", exact=True)).to_be_focused()
    await page.keyboard.press("g")
    await page.keyboard.press("j")
    await expect(page.locator("a.name")).to_have_count(50)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(page.locator("a.name").nth(1)).to_be_focused()
    await page.keyboard.press("/")
    await expect(page.get_by_label("Name begins with")).to_be_focused()
    await page.keyboard.press("t")
    await expect(page.get_by_label("Name begins with")).to_have_value("t")
    await page.keyboard.press("Escape")
    await page.keyboard.press("t")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await page.keyboard.press("t")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.keyboard.press("?")
    await page.get_by_label("Single keys work").uncheck()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("t")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_a_name_is_text_whatever_stands_in_it(visit: Visit) -> None:
    page = await visit("#/jobs?requestedBy=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    await expect(page.get_by_label("Asked for by")).to_have_value("<img src=x onerror=alert(1)>")
    await page.evaluate("location.hash = '#/jobs/%3Cscript%3E'")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.evaluate("location.hash = '#/nowhere'")
    await expect(page.get_by_role("heading", name="There is no such page")).to_be_focused()
    assert await page.evaluate("document.querySelectorAll('main script, main img').length") == 0
