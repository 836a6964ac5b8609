"""The Python clients follow events: each once, in order, over broken streams and replaced servers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from octo_client import AsyncClient, Client, ProblemError, Retries, ServerEvent, UnreachableError
from octo_core.db.projection import project
from octo_core.db.session import Database
from tests.integration.api.conftest import Keys, StartProcess
from tests.integration.api.events.conftest import StartServer
from tests.integration.api.events.test_streams import PATIENCE, happen
from tests.integration.db.test_projection import octojob

QUICK = Retries(tries=1000, first_wait_seconds=0.05, longest_wait_seconds=0.2)


async def test_a_run_is_followed_to_its_end(start_server: StartServer, keys: Keys, database: Database) -> None:
    key = (await keys.make()).text
    failed = octojob("a", 3, "Failed")
    # Unicode knows more line breaks than an event stream does.
    message = "one\u2028two\x85three\x1cfour"
    failed["status"]["failure"] = {"category": "Unknown", "reason": "Broken", "message": message}
    await happen(database, "a", 1, "Pending")
    api = await start_server()
    async with AsyncClient(api.url, api_key=key, retries=QUICK) as octo, asyncio.timeout(PATIENCE):
        seen: list[ServerEvent] = []
        async for event in octo.events("/v1/jobs/a/events"):
            seen.append(event)
            if event.id == "1":
                await happen(database, "a", 2, "Running")
            if event.id == "2":
                async with database.transaction() as session:
                    await project(session, [failed], now=datetime.now(UTC))
        assert [(event.id, event.type) for event in seen] == [
            ("1", "job.created"),
            ("2", "job.running"),
            ("3", "job.failed"),
        ]
        assert seen[-1].data["data"]["failure"]["message"] == message
        assert [event.id async for event in octo.events("/v1/jobs/a/events", last_event_id="2")] == ["3"]
        with pytest.raises(ProblemError, match="cursor-expired"):
            await anext(octo.events("/v1/jobs/a/events", last_event_id="9"))

    def blocking() -> list[ServerEvent]:
        with Client(api.url, api_key=key, retries=QUICK) as octo:
            return list(octo.events("/v1/jobs/a/events"))

    assert await asyncio.to_thread(blocking) == seen


async def test_events_go_on_behind_a_server_that_was_replaced(
    start_process: StartProcess, keys: Keys, database: Database
) -> None:
    key = (await keys.make()).text
    first, second = await start_process(shutdown_grace_seconds=5), await start_process()
    await happen(database, "a", 1, "Pending")

    async def balance(request: httpx.Request) -> None:
        """As a Service in front of both does: who drains gets no new request."""
        request.url = request.url.copy_with(port=second.port if draining.is_set() else first.port)

    draining = asyncio.Event()
    async with AsyncClient(first.url, api_key=key, retries=QUICK) as octo, asyncio.timeout(PATIENCE):
        octo._http.event_hooks = {"request": [balance]}
        seen = []
        async for event in octo.events("/v1/events", last_event_id="0", jobId="a"):
            seen.append(event.type)
            if event.type == "job.created":
                draining.set()
                await asyncio.to_thread(first.program.stop, within=PATIENCE)
                await happen(database, "a", 2, "Running")
            else:
                break
    assert seen == ["job.created", "job.running"]


async def test_a_server_that_stays_away_is_told(start_process: StartProcess, keys: Keys) -> None:
    key = (await keys.make()).text
    api = await start_process()
    await asyncio.to_thread(api.program.stop, within=PATIENCE)
    async with AsyncClient(api.url, api_key=key, retries=Retries(tries=2, first_wait_seconds=0.01)) as octo:
        with pytest.raises(UnreachableError):
            await anext(octo.events("/v1/events"))
