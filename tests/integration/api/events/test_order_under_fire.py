"""Clients that drop and resume at random, while several writers commit out of order, see each event once, in order.

``OCTO_SSE_CLIENTS`` and ``OCTO_SSE_JOBS`` make it longer, see ``make test-events``.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from octo_core.db.projection import mark_deleted, project
from octo_core.db.session import Database
from octo_core.db.tables import EventRow
from octo_core.domain.status import State
from tests.integration.api.conftest import Keys, StartProcess
from tests.integration.db.test_projection import octojob
from tests.support.sse import event_source

CLIENTS = int(os.environ.get("OCTO_SSE_CLIENTS", "100"))
JOBS = int(os.environ.get("OCTO_SSE_JOBS", "12"))
WRITERS = 4
PATIENCE = 240.0

LIFE = [State.PENDING, State.QUEUED, State.STARTING, State.RUNNING, State.RETRYING, State.STARTING, State.RUNNING]
UIDS = [f"job-{number}" for number in range(JOBS)]


async def write(database: Database, seed: int) -> None:
    """Mirrors runs as a controller would, and as one that was replaced and does not know it yet: late and again."""
    order = random.Random(seed)
    for version, state in enumerate([*LIFE, State.SUCCEEDED], 1):
        shuffled = order.sample(UIDS, k=len(UIDS))
        for start in range(0, len(shuffled), 6):
            async with database.transaction() as session:
                jobs = [octojob(uid, version, state, attempt=version // 4) for uid in shuffled[start : start + 6]]
                await project(session, jobs, now=datetime.now(UTC))
                # Held open: what others begin later commits before.
                await asyncio.sleep(order.random() * 0.05)
    async with database.transaction() as session:
        await mark_deleted(session, UIDS[::3], now=datetime.now(UTC))


class Follower:
    """Follows to the end, over as many connections as it takes."""

    def __init__(self, port: int, key: str, seed: int, path: str) -> None:
        self._port = port
        self._key = key
        self._order = random.Random(seed)
        self._path = path
        self.seen: list[tuple[int, str]] = []
        self.connections = 0

    async def follow(self, until: asyncio.Future[int] | None) -> None:
        """Until the stream says that nothing follows, or to the position that ``until`` tells."""
        last: int | None = 0
        while not await self._over(until, last):
            self.connections += 1
            patience = self._order.choice((0, 1, 2, 5, 13, 10**6))
            try:
                async with event_source(self._port, self._path, key=self._key, last_id=last) as source:
                    if source.status == 204:
                        return
                    # 503 while a replica ends or is as busy as it may be.
                    assert source.status in (200, 503), source.status
                    async with asyncio.timeout(self._order.uniform(0.2, 2.0)):
                        async for message in source.messages():
                            self.seen.append((message.id, message.data))
                            last = message.id
                            patience -= 1
                            if patience < 0:
                                break
                    # Also what a heartbeat said, as an EventSource would.
                    last = source.last_id if source.last_id is not None else last
            except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(self._order.random() * 0.1)

    async def _over(self, until: asyncio.Future[int] | None, last: int | None) -> bool:
        return until is not None and until.done() and (last or 0) >= until.result()


@pytest.mark.timeout(900)
async def test_each_event_once_in_order(start_process: StartProcess, keys: Keys, database: Database) -> None:
    key = (await keys.make()).text
    # The runs exist before anybody asks for them.
    async with database.transaction() as session:
        await project(session, [octojob(uid, 0, "Pending") for uid in UIDS], now=datetime.now(UTC))
    replicas = [await start_process(event_heartbeat_seconds=1, log_level="WARNING") for _ in range(2)]
    end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    followers = []
    for number in range(CLIENTS):
        # Half of them follow all runs, half of them one.
        path = "/v1/events" if number % 2 else f"/v1/jobs/{UIDS[number % JOBS]}/events"
        followers.append(Follower(replicas[number % 4 // 2].port, key, number, path))

    async with asyncio.timeout(PATIENCE * max(1, CLIENTS // 100)), asyncio.TaskGroup() as group:
        for number, follower in enumerate(followers):
            group.create_task(follower.follow(end if number % 2 else None))
        await asyncio.gather(*(write(database, seed) for seed in range(WRITERS)))
        async with database.transaction() as session:
            written = [tuple(row) for row in await session.execute(select(EventRow.job_uid, EventRow.seq))]
        end.set_result(len(written))

    by_run: defaultdict[object, int] = defaultdict(int)
    for uid, _ in written:
        by_run[uid] += 1
    views = [follower.seen for follower in followers[1::2]]
    for view in views:
        assert [position for position, _ in view] == list(range(1, len(written) + 1))
        assert view == views[0]
    for number in range(0, CLIENTS, 2):
        uid = UIDS[number % JOBS]
        view = followers[number].seen
        assert [sequence for sequence, _ in view] == list(range(1, by_run[uid] + 1))[: len(view)]
        # It ends with the run, or, if it came back later, with its OctoJob.
        assert len(view) >= by_run[uid] - (UIDS.index(uid) % 3 == 0)
    assert sum(follower.connections for follower in followers) > 2 * CLIENTS
