"""What comes bit by bit lasts while its credential stands, its client reads, and the process goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message

from octo_api.events.feed import Feed
from octo_api.live import LiveAnswer, LiveAnswers
from octo_core.db.session import Database
from tests.integration.api.conftest import Api, StartApi
from tests.integration.api.test_job_logs import put_pod, run, stamped
from tests.support.fake_kube import FakeKube
from tests.support.waiting import until

LONG = ("/v1/jobs/{job}/logs?follow=true", "/v1/jobs/{job}/checks")
STREAM = {"Accept": "text/event-stream"}


async def start(start_api: StartApi, **settings: float) -> Api:
    """One that looks at credentials all the time."""
    return await start_api(credential_cache_seconds=0, event_heartbeat_seconds=0.1, **settings)


async def begin(
    api: Api, client: httpx.AsyncClient, kube: FakeKube, database: Database
) -> tuple[str, list[asyncio.Task[httpx.Response]]]:
    """Long answers about a run that goes on."""
    job = await run(client, kube, database)
    put_pod(kube, job, stamped("one"))
    tasks = [asyncio.create_task(client.get(path.format(job=job), headers=STREAM)) for path in LONG]

    async def all_begun() -> bool:
        return bool(api.app.state.services.live.count == len(LONG))

    await until(all_begun, what="the answers")
    return job, tasks


async def test_they_end_with_their_credential(start_api: StartApi, kube: FakeKube, database: Database) -> None:
    api = await start(start_api)
    key = await api.keys.make(subject="leaver")
    _, tasks = await begin(api, api.client(key), kube, database)
    admin = api.client(await api.keys.make())
    # Not by themselves.
    assert all(not task.done() for task in tasks)
    assert (await admin.post(f"/v1/api-keys/{key.id}:revoke")).status_code == 200
    log, checks = await asyncio.wait_for(asyncio.gather(*tasks), 240)
    assert log.text == "one\n"
    assert "event: verification" not in checks.text
    assert api.app.state.services.live.count == 0
    for answer in (log, checks):
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert "no-transform" in answer.headers["Cache-Control"]


async def test_they_end_with_the_process_and_none_begins_then(
    start_api: StartApi, kube: FakeKube, database: Database
) -> None:
    api = await start(start_api)
    client = api.client(await api.keys.make())
    job, tasks = await begin(api, client, kube, database)
    api.app.state.drain.begin()
    await asyncio.wait_for(asyncio.gather(*tasks), 240)
    for path in LONG:
        answer = await client.get(path.format(job=job), headers=STREAM)
        assert (answer.status_code, answer.json()["code"]) == (503, "too-many-streams")
    made = len(kube.of_kind("octojobs"))
    assert (await client.post("/v1/providers/acme:verify", headers=STREAM)).status_code == 503
    assert len(kube.of_kind("octojobs")) == made
    assert (await client.get(f"/v1/jobs/{job}/logs")).text == "one\n"


async def test_there_are_so_many_at_most(start_api: StartApi, kube: FakeKube, database: Database) -> None:
    api = await start(start_api, max_live_answers=2)
    client = api.client(await api.keys.make())
    job, tasks = await begin(api, client, kube, database)
    assert (await client.get(f"/v1/jobs/{job}/logs?follow=true")).status_code == 503
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_quiet_verification_says_that_it_lives(start_api: StartApi, kube: FakeKube, database: Database) -> None:
    api = await start(start_api)
    client = api.client(await api.keys.make())
    looks = 0

    async def look(seconds: float) -> None:
        nonlocal looks
        looks += 1
        # Longer than it may be quiet.
        await asyncio.sleep(0.2)

    async def looked() -> bool:
        return looks >= 3

    api.app.state.services.verifications._sleep = look
    _, tasks = await begin(api, client, kube, database)
    await until(looked, what="looks")
    api.app.state.drain.begin()
    _, checks = await asyncio.wait_for(asyncio.gather(*tasks), 240)
    assert checks.text.startswith(": heartbeat\n\n")


@pytest.mark.parametrize("stuck", ["http.response.start", "http.response.body"])
async def test_a_client_that_does_not_read_is_cut_off(stuck: str) -> None:
    answers = LiveAnswers(Feed(), most=1, check_seconds=15)
    sent: list[str] = []

    async def lines() -> AsyncIterator[str]:
        while True:
            yield "line\n"

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if message["type"] == stuck:
            await asyncio.Event().wait()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    answer = LiveAnswer(lines(), answers, status=200, media_type="text/plain", headers={}, send_seconds=0.05)
    await asyncio.wait_for(answer({"type": "http"}, receive, send), 240)
    assert sent[-1] == stuck
    assert answers.count == 0
