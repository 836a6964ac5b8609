"""Times over REST are those of RFC 3339: refused otherwise in queries, and always with Z in answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import PROVIDER_SPEC, PROVIDERS, Api
from tests.support.fake_kube import FakeKube

TOLD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
ANSWERS = (
    "/v1/jobs",
    "/v1/jobs/{job}",
    "/v1/jobs/{job}/attempts",
    "/v1/jobs/{job}/events",
    "/v1/events",
    "/v1/summary",
    "/v1/providers",
    "/v1/providers/acme",
    "/v1/providers/acme/ledger",
    "/v1/audit",
    "/v1/api-keys",
    "/v1/auth/verify",
    "/v1/webhooks",
)


def times_asked_for(api: Api) -> list[tuple[str, str]]:
    """Path and name of each query parameter that is a time."""
    return [
        (path, parameter["name"])
        for path, methods in api.app.openapi()["paths"].items()
        for parameter in methods.get("get", {}).get("parameters", ())
        if "date-time" in str(parameter.get("schema", {}))
    ]


async def test_other_forms_are_refused_in_queries(api: Api, admin: httpx.AsyncClient) -> None:
    asked = times_asked_for(api)
    assert len(asked) >= 10
    for path, name in asked:
        filled = path.replace("{name}", "acme").replace("{uid}", "none")
        for wrong in ("1767323045", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05"):
            answer = await admin.get(filled, params={name: wrong})
            assert answer.status_code == 422, (path, name, wrong)
            assert [(error["in"], error["pointer"]) for error in answer.json()["errors"]] == [("query", f"/{name}")]
        answer = await admin.get(filled, params={name: "2026-01-02T05:04:05.5+02:00"})
        assert answer.status_code in (200, 404), (path, name, answer.text)


async def test_the_ends_of_the_calendar_are_times_too(api: Api, admin: httpx.AsyncClient, kube: FakeKube) -> None:
    """A time of zero, or one that means never, is what other languages send where they have none."""
    spec = {**PROVIDER_SPEC, "schedule": {"cron": "@hourly", "timeZone": "America/New_York"}}
    kube.put(f"{PROVIDERS}/acme", {"spec": spec})
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        for path, name in times_asked_for(api):
            filled = path.replace("{name}", "acme").replace("{uid}", "none")
            for sort in ({}, {"sort": "finishedAt"}) if path == "/v1/jobs" else ({},):
                answer = await admin.get(filled, params={name: moment, **sort})
                assert answer.status_code in (200, 404), (path, name, moment, answer.text)
        selector = {"createdAfter": moment, "startedBefore": moment, "finishedBefore": moment}
        answer = await admin.post("/v1/jobs:cancel", json={"filter": selector, "expectedCount": 0})
        assert answer.status_code == 200, answer.text
        span = {"start": "0001-01-01T00:00:00Z", "end": moment}
        assert (await admin.post("/v1/providers/acme/schedule:backfill", json=span)).status_code == 422
    for beyond in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        for path, name in times_asked_for(api):
            filled = path.replace("{name}", "acme").replace("{uid}", "none")
            assert (await admin.get(filled, params={name: beyond})).status_code == 422, (path, name)
        answer = await admin.post("/v1/jobs", json={"provider": "acme", "startAfter": beyond})
        assert answer.status_code == 422


@pytest.mark.parametrize("start", [1767323045, "1767323045", "2026-01-02", "2026-01-02T03:04:05"])
async def test_other_forms_are_refused_in_bodies(admin: httpx.AsyncClient, start: object) -> None:
    answer = await admin.post("/v1/jobs", json={"provider": "acme", "startAfter": start})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/startAfter"]


def _times(node: Any) -> Iterator[str]:
    """Everything in a document that is named as times are."""
    if isinstance(node, list):
        for item in node:
            yield from _times(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str) and re.search(r"(At|Time|Until|timestamp)$|^at$", key):
                yield value
            yield from _times(value)


async def test_answers_have_them_in_utc(api: Api, admin: httpx.AsyncClient) -> None:
    body = {"provider": "acme", "startAfter": "2026-01-02T05:04:05+02:00"}
    job = (await admin.post("/v1/jobs", json=body)).json()["id"]
    await admin.post("/v1/webhooks", json={"name": "hook", "url": "https://example.com/"})
    key = {"subject": "x", "scopes": ["jobs:read"], "namespaces": ["octo"], "expiresAt": "2099-01-02T05:04:05+02:00"}
    await admin.post("/v1/api-keys", json=key)
    told = set()
    for path in ANSWERS:
        answer = await admin.get(path.format(job=job), headers={"Accept": "application/json"})
        assert answer.status_code == 200, answer.text
        found = list(_times(answer.json()))
        assert all(TOLD.fullmatch(time) for time in found), (path, found)
        told |= {path for _ in found}
    assert len(told) >= 8
