"""Streams over real connections: what they send, where they begin, and how they end."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime

import asyncpg
import httpx

from octo_core.db import api_keys
from octo_core.db.projection import mark_deleted, project
from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.integration.api.conftest import Keys, StartProcess
from tests.integration.api.events.conftest import Served, StartServer
from tests.integration.db.test_projection import octojob
from tests.support.sse import EventSource, Message, event_source

PATIENCE = 240.0


async def happen(database: Database, uid: str, version: int, state: str) -> None:
    async with database.transaction() as session:
        await project(session, [octojob(uid, version, state)], now=datetime.now(UTC))


async def take(source: EventSource, count: int) -> list[Message]:
    """The next messages; fewer if the stream ends before."""
    found: list[Message] = []
    async with asyncio.timeout(PATIENCE):
        async for message in source.messages():
            found.append(message)
            if len(found) == count:
                break
    return found


async def rest(source: EventSource) -> list[Message]:
    return await take(source, 10**9)


async def page(api: Served, key: str, path: str, **query: str | int) -> httpx.Response:
    async with httpx.AsyncClient(base_url=api.url, headers={"X-API-Key": key}, timeout=PATIENCE) as client:
        return await client.get(path, params=query, timeout=PATIENCE)


async def test_a_stream_of_a_run_from_its_first_event_to_its_last(
    start_server: StartServer, keys: Keys, database: Database
) -> None:
    key = (await keys.make()).text
    await happen(database, "a", 1, "Pending")
    api = await start_server()
    async with event_source(api.port, "/v1/jobs/a/events", key=key) as source:
        assert (source.status, source.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert "no-store" in source.headers["cache-control"]
        first = await take(source, 1)
        await happen(database, "a", 2, "Running")
        await happen(database, "b", 3, "Running")
        await happen(database, "a", 4, "Succeeded")
        found = first + await rest(source)
    assert [(m.id, m.type) for m in found] == [(1, "job.created"), (2, "job.running"), (3, "job.succeeded")]
    assert source.retry == 2000
    # Each event is in the stream what it is on the page.
    items = (await page(api, key, "/v1/jobs/a/events")).json()["items"]
    assert [json.loads(message.data) for message in found] == items
    assert all(item["jobName"] == "job-a" and item["provider"] == "bank" for item in items)

    async with event_source(api.port, "/v1/jobs/a/events", key=key, last_id=2) as source:
        assert [m.id for m in await rest(source)] == [3]
    async with event_source(api.port, "/v1/jobs/a/events", key=key, last_id=3) as source:
        # Which an EventSource takes as the word not to come back.
        assert source.status == 204
    async with database.transaction() as session:
        await mark_deleted(session, ["a"], now=datetime.now(UTC))
    async with event_source(api.port, "/v1/jobs/a/events", key=key, last_id=3) as source:
        assert [m.type for m in await rest(source)] == ["job.deleted"]
    for last_id, status in ((9, 410), (4, 204)):
        async with event_source(api.port, "/v1/jobs/a/events", key=key, last_id=last_id) as source:
            assert source.status == status
    async with event_source(api.port, "/v1/jobs/none/events", key=key) as source:
        assert source.status == 404


async def test_a_stream_of_all_begins_now_is_filtered_and_respects_namespaces(
    start_server: StartServer, keys: Keys, database: Database
) -> None:
    everything = (await keys.make()).text
    elsewhere = (await keys.make("jobs:read", namespaces=("other",))).text
    await happen(database, "old", 1, "Pending")
    api = await start_server()
    # "Now" is behind what this process knows of, and it knows what it tells.
    async with event_source(api.port, "/v1/events", key=everything, last_id=0) as source:
        assert [m.id for m in await take(source, 1)] == [1]
    async with (
        event_source(api.port, "/v1/events", key=everything) as all_of_them,
        event_source(api.port, "/v1/events?type=job.failed&type=job.succeeded&provider=bank", key=everything) as ends,
        event_source(api.port, "/v1/events?jobId=b", key=everything) as of_b,
        event_source(api.port, "/v1/events", key=elsewhere) as foreign,
        event_source(api.port, "/v1/events?namespace=octo", key=elsewhere) as forbidden,
    ):
        assert forbidden.status == 403
        for source in (all_of_them, ends, of_b, foreign):
            assert source.status == 200
        for version, uid, state in ((1, "a", "Running"), (1, "b", "Pending"), (2, "a", "Failed"), (2, "b", "Running")):
            await happen(database, uid, version, state)
        seen = await take(all_of_them, 5)
        assert [m.id for m in seen] == [2, 3, 4, 5, 6]
        assert [json.loads(m.data)["jobId"] for m in seen] == ["a", "a", "b", "a", "b"]
        assert [m.type for m in await take(ends, 1)] == ["job.failed"]
        assert [m.type for m in await take(of_b, 2)] == ["job.created", "job.running"]
        other = octojob("c", 1, "Pending")
        other["metadata"]["namespace"] = "other"
        async with database.transaction() as session:
            await project(session, [other], now=datetime.now(UTC))
        assert [json.loads(m.data)["jobId"] for m in await take(foreign, 1)] == ["c"]
    whole = (await page(api, everything, "/v1/events", after=1, limit=5)).json()
    assert [json.loads(m.data) for m in seen] == whole["items"]
    assert (await page(api, everything, "/v1/events", after=whole["lastId"])).json()["items"][0]["jobId"] == "c"
    # A place that was never given out, as after a restore, is told rather than waited at.
    problem = await page(api, everything, "/v1/events", after=10**6)
    assert (problem.status_code, problem.json()["code"]) == (410, "cursor-expired")
    async with event_source(api.port, "/v1/events", key=everything, last_id=10**6) as source:
        assert source.status == 410


async def test_a_stream_ends_with_its_credential(start_server: StartServer, keys: Keys, database: Database) -> None:
    kept, revoked = await keys.make(), await keys.make()
    api = await start_server(event_heartbeat_seconds=0.5, credential_cache_seconds=0)
    async with (
        event_source(api.port, "/v1/events", key=kept.text) as staying,
        event_source(api.port, "/v1/events", key=revoked.text) as leaving,
    ):
        async with database.transaction() as session:
            assert await api_keys.revoke(session, revoked.id, now=datetime.now(UTC))
        assert await rest(leaving) == []
        assert leaving.comments > 0
        await happen(database, "a", 1, "Pending")
        assert len(await take(staying, 1)) == 1
    async with event_source(api.port, "/v1/events", key=revoked.text) as refused:
        assert refused.status == 401


async def test_a_process_that_ends_sends_its_streams_away(start_process: StartProcess, keys: Keys) -> None:
    key = (await keys.make()).text
    api = await start_process(shutdown_grace_seconds=5)
    async with event_source(api.port, "/v1/events", key=key) as source:
        assert source.status == 200
        assert await asyncio.to_thread(api.program.stop, within=PATIENCE) in (0, -signal.SIGTERM)
        assert await rest(source) == []
        assert source.last_id is not None


async def test_streams_are_limited(start_server: StartServer, keys: Keys) -> None:
    key = (await keys.make()).text
    api = await start_server(max_event_streams=1)
    async with event_source(api.port, "/v1/events", key=key) as first:
        assert first.status == 200
        async with event_source(api.port, "/v1/events", key=key) as second:
            assert (second.status, second.headers["retry-after"]) == (503, "2")
    # A client that went away makes room.
    async with asyncio.timeout(PATIENCE):
        while True:
            async with event_source(api.port, "/v1/events", key=key) as third:
                if third.status == 200:
                    break
            await asyncio.sleep(0.05)


async def test_postgres_away_delays_and_loses_nothing(
    start_server: StartServer, keys: Keys, database: Database, database_settings: DatabaseSettings
) -> None:
    key = (await keys.make()).text
    api = await start_server()
    async with event_source(api.port, "/v1/events", key=key) as source:
        await happen(database, "a", 1, "Pending")
        assert len(await take(source, 1)) == 1
        # As a failover would: every connection of the api is cut, those that listen too.
        admin = await asyncpg.connect(database_settings.database_url.get_secret_value())
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'octo-api%'"
        )
        await admin.close()
        await happen(database, "a", 2, "Running")
        assert [m.type for m in await take(source, 1)] == ["job.running"]
