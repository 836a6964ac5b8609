"""Tells the api how the run goes, and never holds the run up.

Rows wait in a bounded buffer while the api is away. What does not get through is in the manifest, and
the outcome goes by exit code and termination message.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from octo_core.domain.report import Check, FileResult, Report
from octo_core.domain.run import RunIdentity
from octo_core.domain.status import Progress

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

INTERVAL_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 30.0
IO_SECONDS = 10.0
"""How long the api may take to be reached, and may be silent."""
BATCH = 500
BUFFERED_ROWS = 20_000
_NEVER_ACCEPTED = frozenset({400, 413, 422})

log = logging.getLogger(__name__)


class Reporter:
    """Sends rows and progress. Without a report URL it does nothing."""

    def __init__(
        self, url: str | None, job: RunIdentity, shard: int, token_file: Path, progress: Callable[[], Progress]
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/reports/{job.uid}" if url else None
        self._attempt = job.attempt
        self._shard = shard
        self._token_file = token_file
        self._progress = progress
        self._rows: deque[FileResult] = deque()
        self._checks: list[Check] = []
        self._checks_sent = 0
        self._lost = 0
        self._sent: Progress | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="report")
        self._pool: HTTPConnectionPool | None = None

    def start(self) -> None:
        """Report from now on, in the background."""
        if self._url is not None:
            self._task = asyncio.create_task(self._loop(), name="report")

    def add(self, row: FileResult) -> None:
        """Queue a row. The oldest goes when too many wait."""
        if self._url is None:
            return
        if len(self._rows) >= BUFFERED_ROWS:
            self._rows.popleft()
            self._lost += 1
        self._rows.append(row)

    def check(self, check: Check) -> None:
        """Queue a step of a verification."""
        self._checks.append(check)

    async def finish(self, seconds: float) -> None:
        """Deliver what is left within that time, or say that it was not."""
        if self._url is None:
            return
        self._ending.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._task is not None:
                    # What is on its way arrives before what comes after it.
                    await asyncio.wait((self._task,))
                while self._pending():
                    if not await self._send():
                        await asyncio.sleep(1)
        if self._rows or self._lost:
            log.warning(
                "the api did not take all of the report; the manifest has it",
                extra={"rows_left": len(self._rows), "rows_dropped": self._lost},
            )
        if self._task is not None:
            self._task.cancel()
        # Not waited for: it may be at a server that says nothing.
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            self._pool.close()

    def _pending(self) -> bool:
        return bool(self._rows) or len(self._checks) > self._checks_sent or self._progress() != self._sent

    async def _loop(self) -> None:
        failures = itertools.count(1)
        while not self._ending.is_set():
            delay = INTERVAL_SECONDS
            if self._pending():
                if await self._send():
                    failures = itertools.count(1)
                else:
                    delay = min(INTERVAL_SECONDS * 2 ** next(failures), MAX_BACKOFF_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._ending.wait()

    async def _send(self) -> bool:
        """One report. A batch leaves the buffer only when the api has it, or will never take it."""
        progress = self._progress()
        batch = tuple(itertools.islice(self._rows, BATCH))
        lost = self._lost
        checks = tuple(self._checks)
        report = Report(attempt=self._attempt, shard=self._shard, progress=progress, files=batch, checks=checks)
        # An older api knows no checks, and refuses what it does not know.
        left_out = None if checks else {"checks"}
        body = report.model_dump_json(by_alias=True, exclude_none=True, exclude=left_out)
        status = await asyncio.get_running_loop().run_in_executor(self._thread, self._posted, body.encode())
        if status is None:
            return False
        accepted = 200 <= status < 300
        if accepted or status in _NEVER_ACCEPTED:
            if not accepted:
                log.warning("report refused", extra={"status": status, "rows": len(batch)})
            # While it was sent, add() may have dropped rows from the same end.
            for _ in range(len(batch) - min(len(batch), self._lost - lost)):
                self._rows.popleft()
            self._sent = progress
            self._checks_sent = len(checks)
            return True
        log.info("report not delivered", extra={"status": status})
        return False

    def _posted(self, body: bytes) -> int | None:
        """The status of the api's answer, None if there is none; blocks."""
        from urllib3.exceptions import HTTPError

        assert self._url is not None  # noqa: S101 - callers check
        try:
            # The kubelet replaces the token before it expires.
            token = self._token_file.read_text().strip()
            if self._pool is None:
                self._pool = _connections(self._url)
            answer = self._pool.urlopen(
                "POST",
                urlsplit(self._url).path,
                body=body,
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/json",
                    "User-Agent": "octo-worker",
                },
                redirect=False,
                retries=False,
            )
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            # Its text may quote a header, and with it the token.
            log.info("report not delivered", extra={"why": type(error).__name__})
            return None
        return answer.status


def _connections(url: str) -> HTTPConnectionPool:
    """To the api, which is near: by no proxy, whatever the environment says."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout

    place = urlsplit(url)
    timeout = Timeout(connect=IO_SECONDS, read=IO_SECONDS)
    if place.scheme == "https":
        trusted = ssl.create_default_context()
        return HTTPSConnectionPool(place.hostname or "", place.port, timeout=timeout, ssl_context=trusted)
    return HTTPConnectionPool(place.hostname or "", place.port, timeout=timeout)
