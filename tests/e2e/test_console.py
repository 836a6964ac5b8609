"""The console of an installation, in a browser: a run goes from nothing to its end before one's eyes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from tests.e2e.test_jobs import sleeper, unique
from tests.support.browser import ARGUMENTS, FILES, chromium
from tests.support.release import Release
from tests.support.remote import Remote

PATIENCE = 240_000
ONCE = {"retryPolicy": {"maxAttempts": 1}}


@pytest.fixture
def page(octo: Release) -> Iterator[Page]:
    """Signed in. Nothing may have gone wrong in it, nor been asked of anybody else, by the end of the test."""
    octo.request("GET", "/healthz", key=None)
    home = f"http://127.0.0.1:{octo.forward.port()}/"
    asked: list[str] = []
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        made = browser.new_page()
        made.set_default_timeout(PATIENCE)
        made.on("request", lambda request: asked.append(request.url))
        made.on("pageerror", lambda error: errors.append(str(error)))
        made.route(FILES, by_the_driver)
        made.goto(f"{home}console/")
        made.get_by_label("API key").fill(octo.api_key)
        made.get_by_role("button", name="Sign in", exact=True).click()
        expect(made.get_by_role("button", name="Sign out")).to_be_visible(timeout=PATIENCE)
        # Gone with the document, if it were ever loaded anew.
        made.evaluate("window.sameDocument = true")
        yield made
        assert made.evaluate("window.sameDocument") is True
        assert errors == []
        assert [url for url in asked if not url.startswith(home)] == []
        browser.close()


def by_the_driver(route: Route) -> None:
    """See ``FILES``."""
    route.fulfill(response=route.fetch())


def opened(page: Page, address: str) -> None:
    """Go there within the page, as a link would."""
    page.evaluate("(address) => { location.hash = address; }", address)


def in_state(page: Page, state: str) -> None:
    """Wait until the run that is shown is in this state."""
    expect(page.locator(".summary")).to_contain_text(state, timeout=PATIENCE)


def test_a_run_is_seen_from_its_beginning_to_its_files(octo: Release, remote: Remote, page: Page) -> None:
    name = unique("seen")
    expected = remote.upload_mix(name)
    remote.provider(octo, name, jobDefaults={"transfer": {"onFileError": "SkipFile"}, **ONCE})
    opened(page, f"#/jobs?provider={name}")
    expect(page.locator(".stream")).to_have_text("Live", timeout=PATIENCE)
    # With no run in the list it looks at nothing by itself: what comes is told by the stream.
    expect(page.get_by_text("No run matches.")).to_be_visible(timeout=PATIENCE)
    job = octo.post_job(name)
    row = page.locator("tbody tr", has_text=job["name"])
    expect(row).to_contain_text("Succeeded", timeout=PATIENCE)
    octo.assert_agreed(job["name"], job["id"])

    row.get_by_role("link", name=job["name"]).click()
    expect(page.locator("svg.attempts g")).to_have_count(1, timeout=PATIENCE)
    events = page.locator("ol.events li")
    expect(events.first).to_contain_text("Created", timeout=PATIENCE)
    expect(events.last).to_contain_text("Succeeded", timeout=PATIENCE)
    summary = f"{expected.files}/{expected.files + expected.tampered}"
    expect(page.locator(".progress.large")).to_contain_text(summary, timeout=PATIENCE)

    page.get_by_role("tab", name="Files").click()
    manifest = [json.loads(line) for line in remote.object(octo.job(job["id"])["manifest"]["uri"]).splitlines()]
    files = page.locator("table.files tbody tr")
    expect(files).to_have_count(len(manifest), timeout=PATIENCE)
    shown = files.evaluate_all(
        """(rows) => rows.map((row) => [row.querySelector("code.clip")?.title ?? null,
             row.querySelector("[data-title='SHA-256'] code")?.title ?? null])"""
    )
    stored = {each["key"]: each["sha256"] for each in manifest if each.get("outcome") == "Stored"}
    assert len(stored) == len(expected.objects)
    assert {key: digest for key, digest in shown if key is not None} == stored

    page.get_by_role("tab", name="Log").click()
    said = octo.request("GET", f"/v1/jobs/{job['id']}/logs", headers={"Accept": "text/plain"}).text
    assert said
    expect(page.get_by_text("to its end")).to_be_visible(timeout=PATIENCE)
    assert page.get_by_role("region", name="Log").text_content() == said

    page.get_by_role("button", name="Rerun", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Rerun", exact=True).click()
    expect(page.get_by_role("link", name="an earlier run")).to_be_visible(timeout=PATIENCE)
    expect(page).not_to_have_url(re.compile(job["id"]), timeout=PATIENCE)
    in_state(page, "Succeeded")
    again = octo.job(page.url.rsplit("/", 1)[1])
    assert (again["rerunOf"], again["state"]) == (job["id"], "Succeeded")


def test_a_run_is_cancelled(octo: Release, page: Page) -> None:
    name = unique("stopped")
    octo.kubectl.apply(
        {
            "apiVersion": "octo.dev/v1alpha1",
            "kind": "OctoProvider",
            "metadata": {"name": name},
            "spec": {**sleeper(), "jobDefaults": ONCE},
        }
    )
    job = octo.post_job(name)
    opened(page, f"#/jobs/{job['id']}")
    in_state(page, "Running")
    page.get_by_role("button", name="Cancel", exact=True).click()
    asked = page.get_by_role("dialog", name="Cancel this run?")
    asked.get_by_label("Reason (optional)").fill("seen enough")
    asked.get_by_role("button", name="Cancel the run").click()
    in_state(page, "Cancelled")
    expect(page.get_by_role("region", name="Why")).to_contain_text("seen enough", timeout=PATIENCE)
    assert octo.wait_state(job["name"], "Cancelled")["spec"]["cancel"]["reason"] == "seen enough"
    assert octo.pods_of(job["name"]) == []


def test_a_run_that_breaks_says_why(octo: Release, remote: Remote, page: Page) -> None:
    name = unique("broken")
    remote.upload(name, {"one.csv": b"1\n"})
    remote.provider(octo, name, host_key=remote.other_host_key(), jobDefaults=ONCE)
    job = octo.post_job(name)
    opened(page, f"#/jobs/{job['id']}")
    in_state(page, "Failed")
    octo.assert_agreed(job["name"], job["id"])
    found = octo.request("GET", f"/v1/jobs/{job['id']}/explain").json()
    assert found["actions"]
    why = page.get_by_role("region", name="Why")
    for words in (found["summary"], *found["actions"]):
        expect(why).to_contain_text(words, timeout=PATIENCE)
