"""The two clients: one that blocks, and one for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from octo_client._operations import AsyncOperations, Operations
from octo_client.errors import UnreachableError
from octo_client.requests import Request, Retries, is_passing, read, spread, with_key
from octo_client.streams import ServerEvent, ServerEvents

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_STREAM_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""A stream is silent for 15 seconds at most: then the server sends a heartbeat."""


def _headers(api_key: str | None, token: str | None) -> dict[str, str]:
    if api_key is not None:
        return {"X-API-Key": api_key}
    return {"Authorization": f"Bearer {token}"} if token is not None else {}


class Client(Operations):
    """Calls the API and waits. Close it, or use it as a context manager.

    Methods raise ProblemError for an error answer, and UnreachableError if there is none. What may pass is tried
    again as ``retries`` says; a POST gets an Idempotency-Key for that, unless you give one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url, headers=_headers(api_key, token), timeout=_TIMEOUT, transport=transport
        )
        self._retries = retries or Retries()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _call(self, kind: type[T] | None, request: Request) -> T:
        request = with_key(request)
        arguments = request.arguments()
        for attempt in range(1, self._retries.tries + 1):
            last = attempt == self._retries.tries
            response: httpx.Response | None = None
            try:
                response = self._http.request(**arguments)
            except httpx.TransportError as error:
                if last or not request.repeatable:
                    raise UnreachableError(f"no answer from {self._http.base_url}: {error}") from error
            else:
                if last or not request.repeatable or not is_passing(response):
                    return read(response, kind)
            time.sleep(self._retries.wait_before(attempt + 1, response))
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def stream(
        self, path: str, *, method: str = "GET", accept: str = "text/plain", **query: Any
    ) -> Iterator[httpx.Response]:
        """The answer of a path as it comes, such as a log that is followed; read it by its ``iter_lines()``."""
        request = Request(method, path, query=query, headers={"Accept": accept})
        with self._http.stream(**request.arguments(), timeout=_STREAM_TIMEOUT) as response:
            if not response.is_success:
                response.read()
                read(response, None)
            yield response

    def events(
        self, path: str, *, last_event_id: str | None = None, **query: Any
    ) -> Generator[ServerEvent, None, None]:
        """Server-sent events of a path, such as ``/v1/jobs/<id>/events``: each once, also when the connection breaks or
        the server is replaced, until there is nothing more to come. Raises as other methods do."""
        seen = ServerEvents(last_event_id)
        failures = 0
        while True:
            request = Request("GET", path, query=query, headers=seen.headers())
            response: httpx.Response | None = None
            pause = self._retries.wait_before(2, None)
            try:
                with self._http.stream(**request.arguments(), timeout=_STREAM_TIMEOUT) as response:
                    if response.status_code == httpx.codes.NO_CONTENT:
                        return
                    if not response.is_success:
                        response.read()
                        if not is_passing(response):
                            read(response, None)
                        failures += 1
                    else:
                        for piece in response.iter_text():
                            failures = 0
                            for event in seen.feed(piece):
                                pause = 0.0
                                yield event
                        if not seen.resumable:
                            return
            except httpx.TransportError as error:
                failures += 1
                if failures >= self._retries.tries:
                    raise UnreachableError(f"the stream of {path} broke: {error}") from error
            if failures >= self._retries.tries:
                raise UnreachableError(f"the stream of {path} cannot be had at the moment")
            if failures:
                time.sleep(self._retries.wait_before(failures + 1, response))
            else:
                time.sleep(max(pause, spread(seen.pause_seconds)))


class AsyncClient(AsyncOperations):
    """As Client, for asyncio."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url, headers=_headers(api_key, token), timeout=_TIMEOUT, transport=transport
        )
        self._retries = retries or Retries()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _call(self, kind: type[T] | None, request: Request) -> T:
        request = with_key(request)
        arguments = request.arguments()
        for attempt in range(1, self._retries.tries + 1):
            last = attempt == self._retries.tries
            response: httpx.Response | None = None
            try:
                response = await self._http.request(**arguments)
            except httpx.TransportError as error:
                if last or not request.repeatable:
                    raise UnreachableError(f"no answer from {self._http.base_url}: {error}") from error
            else:
                if last or not request.repeatable or not is_passing(response):
                    return read(response, kind)
            await asyncio.sleep(self._retries.wait_before(attempt + 1, response))
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def stream(
        self, path: str, *, method: str = "GET", accept: str = "text/plain", **query: Any
    ) -> AsyncIterator[httpx.Response]:
        """The answer of a path as it comes; read it by its ``aiter_lines()``."""
        request = Request(method, path, query=query, headers={"Accept": accept})
        async with self._http.stream(**request.arguments(), timeout=_STREAM_TIMEOUT) as response:
            if not response.is_success:
                await response.aread()
                read(response, None)
            yield response

    async def events(self, path: str, *, last_event_id: str | None = None, **query: Any) -> AsyncIterator[ServerEvent]:
        """As ``Client.events``, for ``async for``."""
        seen = ServerEvents(last_event_id)
        failures = 0
        while True:
            request = Request("GET", path, query=query, headers=seen.headers())
            response: httpx.Response | None = None
            pause = self._retries.wait_before(2, None)
            try:
                async with self._http.stream(**request.arguments(), timeout=_STREAM_TIMEOUT) as response:
                    if response.status_code == httpx.codes.NO_CONTENT:
                        return
                    if not response.is_success:
                        await response.aread()
                        if not is_passing(response):
                            read(response, None)
                        failures += 1
                    else:
                        async for piece in response.aiter_text():
                            failures = 0
                            for event in seen.feed(piece):
                                pause = 0.0
                                yield event
                        if not seen.resumable:
                            return
            except httpx.TransportError as error:
                failures += 1
                if failures >= self._retries.tries:
                    raise UnreachableError(f"the stream of {path} broke: {error}") from error
            if failures >= self._retries.tries:
                raise UnreachableError(f"the stream of {path} cannot be had at the moment")
            if failures:
                await asyncio.sleep(self._retries.wait_before(failures + 1, response))
            else:
                await asyncio.sleep(max(pause, spread(seen.pause_seconds)))
