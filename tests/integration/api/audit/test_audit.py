"""The audit log: read over REST by those who may, and changed by nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, text

from octo_core.db import audit
from octo_core.db.session import Database
from octo_core.db.tables import AuditRow
from octo_core.domain.errors import DatabaseUnavailableError
from tests.integration.api.conftest import Api, StartApi
from tests.support.waiting import until

Row = dict[str, Any]


async def _put(database: Database, api: Api, *rows: Row) -> None:
    base = {
        "actor": "ops",
        "action": "jobs.create",
        "outcome": "Allowed",
        "status": 202,
        "request_id": "r",
        "details": {},
    }
    empty: Row = {"namespace": "octo", "resource": None, "client": None}
    async with database.transaction() as session:
        await session.execute(insert(AuditRow), [{"at": api.clock(), **base, **empty, **row} for row in rows])


async def test_a_refusal_can_be_read(api: Api) -> None:
    reader = api.client(await api.keys.make("audit:read"))
    await api.client(await api.keys.make("jobs:read", subject="curious")).post("/v1/jobs", json={"provider": "acme"})
    await api.client(None).delete("/v1/jobs/x", headers={"X-Request-Id": "night-7"})

    async def refusals() -> list[Row]:
        items: list[Row] = (await reader.get("/v1/audit?outcome=Denied")).json()["items"]
        return items if len(items) == 2 else []

    anonymous, curious = await until(refusals, what="two refusals")
    assert (curious["actor"], curious["action"], curious["status"]) == ("curious", "jobs.create", 403)
    assert (anonymous["actor"], anonymous["action"], anonymous["status"]) == (None, "jobs.delete", 401)
    assert anonymous["requestId"] == "night-7"
    assert (await reader.get("/v1/audit?requestId=night-7")).json()["items"] == [anonymous]
    assert (await reader.get("/v1/audit?actor=curious&action=jobs.create")).json()["items"] == [curious]
    assert (await reader.get("/v1/jobs")).status_code == 403


async def test_what_was_asked_for_in_vain_is_no_success(admin: httpx.AsyncClient) -> None:
    for number, (body, status) in enumerate((({"provider": "acme"}, 202), ({"provider": "gone"}, 404), ({}, 422))):
        answer = await admin.post("/v1/jobs", json=body, headers={"X-Request-Id": f"try-{number}"})
        assert answer.status_code == status
    outcomes = []
    for number in range(3):
        (row,) = (await admin.get(f"/v1/audit?requestId=try-{number}")).json()["items"]
        outcomes.append((row["outcome"], row["status"]))
    assert outcomes == [("Allowed", 202), ("Denied", 404), ("Denied", 422)]
    assert len((await admin.get("/v1/audit?outcome=Denied")).json()["items"]) == 2


async def test_what_many_runs_are_asked_at_once_names_them(api: Api, admin: httpx.AsyncClient) -> None:
    items = [{"provider": "acme"}, {"provider": "gone"}, {"provider": "acme"}]
    made = (await admin.post("/v1/jobs:batch", json={"items": items})).json()["items"]
    ids = [item["job"]["id"] for item in made if item["job"]]
    body = {"filter": {"provider": "acme"}, "expectedCount": 2, "reason": "holiday"}
    assert (await admin.post("/v1/jobs:cancel", json={**body, "expectedCount": 3})).status_code == 409
    client = api.client(await api.keys.make("jobs:cancel", namespaces=("octo",)))
    assert (await client.post("/v1/jobs:cancel", json=body)).json()["accepted"] == 2
    reader = api.client(await api.keys.make("audit:read", namespaces=("octo",)))
    (batch,) = (await reader.get("/v1/audit?action=jobs.batch")).json()["items"]
    assert (batch["namespace"], batch["details"]) == ("octo", {"items": 3, "jobs": ids})
    (cancel,) = (await reader.get("/v1/audit?action=jobs.cancel_many")).json()["items"]
    assert sorted(cancel["details"].pop("jobs")) == sorted(ids)
    assert (cancel["namespace"], cancel["details"]) == ("octo", body)
    refused = (await admin.get("/v1/audit?action=jobs.cancel_many&outcome=Denied")).json()["items"]
    assert [row["details"] for row in refused] == [{**body, "expectedCount": 3}]


async def test_who_asks_too_often_does_not_fill_it(start_api: StartApi) -> None:
    api = await start_api(failed_logins_per_minute=1, rate_limit_requests=3, rate_limit_window_seconds=3600)
    nobody, somebody = api.client(None), api.client(await api.keys.make(subject="eager"))
    began = api.clock()
    refused: list[tuple[str | None, int]] = []
    for actor, client in (("eager", somebody), (None, nobody)):
        statuses = [(await client.post("/v1/jobs", json={"provider": "acme"})).status_code for _ in range(40)]
        refused.append((actor, statuses.count(429)))
    minutes = int((api.clock() - began) / timedelta(minutes=1))
    reader = api.client(await api.keys.make("audit:read", subject="auditor"))
    api.clock.offset += timedelta(minutes=2)
    for actor, count in refused:
        rows = [row for row in (await reader.get("/v1/audit?limit=500")).json()["items"] if row["actor"] == actor]
        told = len([row for row in rows if row["status"] == 429])
        assert 1 <= told <= min(count - 1, 1 + minutes)
        # All others are there.
        assert len(rows) - told == 40 - count
        api.clock.offset += timedelta(minutes=40)


async def test_pages_hold_each_row_once(api: Api, admin: httpx.AsyncClient, database: Database) -> None:
    old = api.clock() - timedelta(days=1)
    # Many of one instant: the id decides.
    await _put(database, api, *({"at": old, "resource": str(n)} for n in range(7)))
    await _put(database, api, {"action": "jobs.cancel", "actor": "other", "at": old - timedelta(hours=1)})
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await admin.get(f"/v1/audit?action=jobs.create&limit=3{cursor}")).json()
        seen += [item["resource"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == list("6543210")
    assert (await admin.get(f"/v1/audit?limit=3{cursor}")).json()["code"] == "invalid-cursor"
    until_then = (old - timedelta(minutes=1)).isoformat()
    found = (await admin.get("/v1/audit", params={"until": until_then})).json()["items"]
    assert [item["actor"] for item in found] == ["other"]
    found = (await admin.get("/v1/audit", params={"since": until_then, "action": "jobs.cancel"})).json()["items"]
    assert found == []


async def test_a_reader_of_one_namespace_sees_that_one(api: Api, database: Database) -> None:
    await _put(database, api, {"namespace": "octo"}, {"namespace": "other"}, {"namespace": None})
    reader = api.client(await api.keys.make("audit:read", namespaces=("other",)))
    assert [item["namespace"] for item in (await reader.get("/v1/audit")).json()["items"]] == ["other"]
    assert (await reader.get("/v1/audit?namespace=octo")).status_code == 403
    everything = api.client(await api.keys.make("audit:read"))
    assert len((await everything.get("/v1/audit?action=jobs.create")).json()["items"]) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        # Not even with the mark that pruning sets: the row is too young.
        "WITH x AS (SELECT set_config('octo.audit_prune', 'on', true)) DELETE FROM audit_log USING x",
        "SELECT octo_audit_prune(now() + interval '1 day', 100)",
    ],
)
async def test_the_database_refuses_to_change_a_row(api: Api, database: Database, statement: str) -> None:
    await _put(database, api, {})
    with pytest.raises(DatabaseUnavailableError) as refused:
        async with database.transaction() as session:
            await session.execute(text(statement))
    assert "append-only" in str(refused.value.__cause__)
    async with database.transaction() as session:
        assert len(list(await session.scalars(select(AuditRow.actor).where(AuditRow.actor == "ops")))) == 1


async def test_old_rows_are_pruned_and_young_ones_kept(api: Api, database: Database) -> None:
    now = api.clock()
    await _put(database, api, *({"at": now - timedelta(days=days)} for days in (0, 29, 399, 401, 500)))
    # How many go is not told by this call alone: the application prunes by itself too when it starts.
    await api.app.state.services.audit.prune()
    async with database.transaction() as session:
        kept = set(await session.scalars(select(AuditRow.at)))
        assert await audit.prune(session, before=now - timedelta(days=399), limit=100) == 0
    assert {(now - at).days for at in kept} == {0, 29, 399}
