"""Tells the api how the run goes, and never holds the run up.

Rows wait in a bounded buffer while the api is away. What does not get through is in the manifest, and
the outcome goes by exit code and termination message.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from octo_core.domain.report import Check, FileResult, Report
from octo_core.domain.run import RunIdentity
from octo_core.domain.status import Progress

if TYPE_CHECKING:
    import httpx

INTERVAL_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 30.0
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
        self._client: httpx.AsyncClient | None = None

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
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._pending():
                    if not await self._send():
                        await asyncio.sleep(1)
        if self._rows or self._lost:
            log.warning(
                "the api did not take all of the report; the manifest has it",
                extra={"rows_left": len(self._rows), "rows_dropped": self._lost},
            )
        if self._client is not None:
            await self._client.aclose()

    def _pending(self) -> bool:
        return bool(self._rows) or len(self._checks) > self._checks_sent or self._progress() != self._sent

    async def _loop(self) -> None:
        failures = itertools.count(1)
        while True:
            delay = INTERVAL_SECONDS
            if self._pending():
                if await self._send():
                    failures = itertools.count(1)
                else:
                    delay = min(INTERVAL_SECONDS * 2 ** next(failures), MAX_BACKOFF_SECONDS)
            await asyncio.sleep(delay)

    async def _send(self) -> bool:
        """One report. A batch leaves the buffer only when the api has it, or will never take it."""
        import httpx  # takes 0.2 s to load, in which the run may already begin

        assert self._url is not None  # noqa: S101 - callers check
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=10.0, trust_env=False)
        progress = self._progress()
        batch = tuple(itertools.islice(self._rows, BATCH))
        lost = self._lost
        checks = tuple(self._checks)
        report = Report(attempt=self._attempt, shard=self._shard, progress=progress, files=batch, checks=checks)
        # An older api knows no checks, and refuses what it does not know.
        left_out = None if checks else {"checks"}
        body = report.model_dump_json(by_alias=True, exclude_none=True, exclude=left_out)
        try:
            # The kubelet replaces the token before it expires.
            token = await asyncio.to_thread(self._token_file.read_text)
            response = await self._client.post(
                self._url,
                content=body,
                headers={"Authorization": f"Bearer {token.strip()}", "Content-Type": "application/json"},
            )
        except (httpx.HTTPError, OSError) as error:
            log.info("report not delivered", extra={"why": type(error).__name__})
            return False
        if response.is_success or response.status_code in _NEVER_ACCEPTED:
            if not response.is_success:
                log.warning("report refused", extra={"status": response.status_code, "rows": len(batch)})
            # While it was sent, add() may have dropped rows from the same end.
            for _ in range(len(batch) - min(len(batch), self._lost - lost)):
                self._rows.popleft()
            self._sent = progress
            self._checks_sent = len(checks)
            return True
        log.info("report not delivered", extra={"status": response.status_code})
        return False
