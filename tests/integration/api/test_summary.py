"""``/v1/summary``: counts by state and by day, of what the caller may see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from octo_core.db.projection import project
from octo_core.db.session import Database
from octo_core.domain.model import rfc3339
from octo_core.domain.status import State
from tests.integration.api.conftest import Api
from tests.integration.db.test_days import ended
from tests.integration.db.test_projection import octojob


def _counts(summary: dict[str, Any]) -> dict[str, int]:
    assert [entry["state"] for entry in summary["states"]] == list(State)
    return {entry["state"]: entry["runs"] for entry in summary["states"] if entry["runs"]}


async def test_states_and_days(api: Api, admin: httpx.AsyncClient, database: Database) -> None:
    today = datetime.now(UTC)
    # Not moved by midnight while the test runs.
    api.clock.offset = today.replace(hour=12, minute=0) - today
    at, before = rfc3339(api.clock()), rfc3339(api.clock() - timedelta(days=3))
    jobs = (
        ended("a", 1, "Succeeded", at, filesDone=2, bytesDownloaded=10, bytesUploaded=20),
        ended("b", 1, "Failed", before, filesFailed=1),
        ended("c", 1, "Succeeded", at, namespace="other", filesDone=1),
        octojob("d", 1, "Running"),
    )
    async with database.transaction() as session:
        await project(session, jobs, now=today)
    day = {
        "day": at[:10],
        "outcome": "Succeeded",
        "runs": 1,
        "files": 2,
        "filesFailed": 0,
        "bytesDownloaded": 10,
        "bytesUploaded": 20,
    }

    summary = (await admin.get("/v1/summary", params={"days": 4, "namespace": "octo"})).json()
    assert (summary["firstDay"], summary["lastDay"]) == (before[:10], at[:10])
    assert _counts(summary) == {"Succeeded": 1, "Failed": 1, "Running": 1}
    assert [entry["day"] for entry in summary["days"]] == [before[:10], at[:10]]
    assert summary["days"][1] == day

    summary = (await admin.get("/v1/summary", params={"days": 1})).json()
    assert _counts(summary) == {"Succeeded": 2, "Failed": 1, "Running": 1}
    assert [(entry["runs"], entry["files"]) for entry in summary["days"]] == [(2, 3)]

    narrow = api.client(await api.keys.make("jobs:read", namespaces=("other",)))
    seen = (await narrow.get("/v1/summary")).json()
    assert _counts(seen) == {"Succeeded": 1}
    assert [entry["files"] for entry in seen["days"]] == [1]
    assert (await narrow.get("/v1/summary", params={"namespace": "octo"})).status_code == 403
    assert (await admin.get("/v1/summary", params={"days": 401})).status_code == 422
