"""Requests to measure the api by: as many connections as there are at the API server, or at a fixed rate."""

from __future__ import annotations

import asyncio
import gc
import random
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson

from octo_api.jobs.manifest import claim_of, order_of
from octo_api.jobs.schemas import JobRequest
from tests.bench.controller_load import CONNECTIONS

Raw = dict[str, Any]
SUBJECT = "bench"
PAGE = 50
MOST = 500
"""What a page may hold at most."""


class Target:
    """A server, over connections that stay."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """POST JSON; raises RuntimeError for a refusal."""
        async with self._session.post(self._url + path, data=body, headers=headers) as answer:
            return await _content(path, answer)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """GET; raises RuntimeError for a refusal."""
        async with self._session.get(self._url + path, params=query) as answer:
            return await _content(path, answer)


async def _content(path: str, answer: aiohttp.ClientResponse) -> bytes:
    content = await answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{path} answered {answer.status}: {content[:300]!r}")
    return content


@asynccontextmanager
async def target(
    url: str, headers: Mapping[str, str], *, context: ssl.SSLContext | None = None, connections: int = CONNECTIONS
) -> AsyncIterator[Target]:
    """A server to send requests to."""
    connector = aiohttp.TCPConnector(ssl=context or True, limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Target(url, session)


def order(key: str, namespace: str, provider: str) -> tuple[bytes, bytes]:
    """A run as it is asked for at the api, and the OctoJob that comes of it, to be created at the API server."""
    request = {"provider": provider, "parameters": {"date": "2026-01-02"}, "labels": {"team": "risk"}}
    parsed = JobRequest.model_validate(request)
    claim = claim_of(
        order_of(parsed, provider=provider, namespace=namespace, labels=parsed.labels),
        tenant=SUBJECT,
        idempotency_key=key,
        now=datetime.now(UTC),
        ttl=timedelta(days=7),
    )
    return orjson.dumps(request), orjson.dumps(claim.manifest)


async def all_at_once(to: Target, path: str, bodies: Iterable[tuple[bytes, Mapping[str, str]]]) -> tuple[float, ...]:
    """POST all, as fast as so many connections do it; how long each took."""
    waiting = iter(list(bodies))
    latencies: list[float] = []

    async def connection() -> None:
        for body, headers in waiting:
            begin = time.perf_counter()
            await to.post(path, body, headers)
            latencies.append(time.perf_counter() - begin)

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(connection())
    return tuple(latencies)


async def at_rate(to: Target, paths: Iterable[str], per_second: float) -> tuple[float, ...]:
    """GET all, one after the other at that rate; how long each took from the moment at which it was due."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []

    async def one(path: str, due: float) -> None:
        await to.get(path)
        latencies.append(loop.time() - due)

    begin = loop.time()
    with no_pauses():
        async with asyncio.TaskGroup() as group:
            for number, path in enumerate(paths):
                due = begin + number / per_second
                await asyncio.sleep(max(0.0, due - loop.time()))
                group.create_task(one(path, due))
    return tuple(latencies)


@contextmanager
def no_pauses() -> Iterator[None]:
    """Keep this process's own garbage collector out of what it measures."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class List:
    """The pages of one list."""

    def __init__(self, to: Target, query: Mapping[str, str]) -> None:
        self._to = to
        self._query = query
        self._cursors: list[str] = []
        self._last: str | None = None
        self.runs = 0
        """On all pages together; each was seen once."""

    async def walk(self) -> None:
        """Go through all of it once, to have places to read at."""
        query = {**self._query, "fields": "id", "limit": str(MOST)}
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            page = orjson.loads(await self._to.get("/v1/jobs", query | ({"cursor": cursor} if cursor else {})))
            ids = [item["id"] for item in page["items"]]
            self.runs += len(ids)
            seen.update(ids)
            if cursor is not None and len(ids) >= PAGE:
                # A place from which there is a whole page.
                self._cursors.append(cursor)
            cursor = page["nextCursor"]
            if cursor is None:
                break
        if len(seen) != self.runs:
            raise RuntimeError("a run stood on two pages")
        if not self._cursors:
            raise RuntimeError("the list has one page only")

    async def first(self) -> tuple[float, int]:
        """Seconds for the first page, and how many runs it shows."""
        return await self._timed(None)

    async def last(self) -> tuple[float, int]:
        """The same at the far end."""
        return await self._timed(self._cursors[-1])

    async def any(self, chance: random.Random) -> tuple[float, int]:
        """The same anywhere."""
        return await self._timed(chance.choice(self._cursors))

    async def _timed(self, cursor: str | None) -> tuple[float, int]:
        query = {**self._query, "limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
        begin = time.perf_counter()
        content = await self._to.get("/v1/jobs", query)
        return time.perf_counter() - begin, len(orjson.loads(content)["items"])
