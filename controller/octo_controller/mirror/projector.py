"""Writes OctoJobs to Postgres in sorted, coalesced batches, and never holds anything up for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from typing import Any, Protocol

from octo_core.domain.errors import DatabaseUnavailableError
from octo_core.domain.names import LABEL_ARCHIVED

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

BATCH = 500
FLUSH_SECONDS = 0.5
"""How long changes are gathered: a transaction costs about as much as ten rows, and a run changes several times."""
MAX_BACKOFF_SECONDS = 10.0


class Writer(Protocol):
    """How rows get to Postgres. All raise DatabaseUnavailableError while it is away."""

    async def write(self, jobs: list[Raw]) -> None: ...
    async def mark_deleted(self, uids: Collection[str]) -> None: ...
    async def claim(self) -> None: ...
    async def live(self) -> dict[str, int]: ...


class Projector:
    """Holds the newest version of each OctoJob until it is committed: at most one per OctoJob there is.

    ``committed`` is called with an OctoJob once its newest version stands in Postgres, and ``took`` with the seconds
    that took.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        committed: Callable[[Raw], None],
        skipped: Callable[[], None] = lambda: None,
        took: Callable[[float], None] = lambda seconds: None,
        batch: int = BATCH,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._writer = writer
        self._committed = committed
        self._skipped = skipped
        self._took = took
        self._batch = batch
        self._flush_seconds = flush_seconds
        self._pending: dict[str, tuple[Raw, float]] = {}
        self._deleted: dict[str, float] = {}
        self._held: dict[str, int] = {}
        self._work = asyncio.Event()
        self._failures = 0
        self.accepting = True
        """Whether anything is kept. A standby has nothing to write: who takes over offers all that it lists."""
        self.incomplete = False
        """Whether Postgres lacks what it was given before: all that is in the cluster has to be offered once more."""

    def offer(self, raw: Raw) -> None:
        """Have this version written, unless a newer one is on its way or there already."""
        if not self.accepting:
            return
        uid, version = raw["metadata"]["uid"], _version(raw)
        known = self._pending.get(uid)
        if version <= self._held.get(uid, -1) or (known is not None and version <= _version(known[0])):
            return
        now = asyncio.get_running_loop().time()
        # The age is that of the oldest change not yet written, whatever came on top.
        self._pending[uid] = (raw, known[1] if known else now)
        self._work.set()

    def gone(self, uid: str) -> None:
        """Have the row marked: its OctoJob is gone from the cluster."""
        self._held.pop(uid, None)
        if not self.accepting:
            return
        self._deleted.setdefault(uid, asyncio.get_running_loop().time())
        self._work.set()

    def holds(self, uid: str, version: str) -> bool:
        """Whether Postgres has this version, or a newer one."""
        return self._held.get(uid, -1) >= int(version)

    def start_over(self) -> None:
        """Postgres is not the database that was written to."""
        if self._held:
            logger.warning("Postgres does not hold what it was given: mirroring everything again")
        self._held.clear()
        self.incomplete = True

    async def look(self) -> None:
        """See, with nothing to write, whether Postgres is the database that was written to."""
        if self.accepting:
            with contextlib.suppress(DatabaseUnavailableError):
                await self._writer.claim()

    @property
    def pending(self) -> int:
        """Changes that wait."""
        return len(self._pending) + len(self._deleted)

    @property
    def available(self) -> bool:
        """Whether the last attempt to write went through."""
        return self._failures == 0

    def lag(self) -> float:
        """Age of the oldest change that waits."""
        since = [at for _, at in self._pending.values()] + list(self._deleted.values())
        return asyncio.get_running_loop().time() - min(since) if since else 0.0

    async def live(self) -> dict[str, int] | None:
        """The rows that stand for OctoJobs still there, and the version of each; None while Postgres is away."""
        try:
            if self.accepting:
                await self._writer.claim()
            return await self._writer.live()
        except DatabaseUnavailableError:
            return None

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._work.wait()
            await asyncio.sleep(self._flush_seconds)
            await asyncio.sleep(await self.flush())

    async def drain(self, *, timeout: float) -> bool:
        """Write all that waits; False if that was not possible in time."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self.pending:
            pause = await self.flush()
            if asyncio.get_running_loop().time() + pause > deadline:
                return not self.pending
            await asyncio.sleep(pause)
        return True

    async def flush(self) -> float:
        """Write one batch; the seconds to wait before the next."""
        uids = sorted(self._pending)[: self._batch]
        rows = [self._pending[uid][0] for uid in uids]
        # A row is marked only after the last version of its OctoJob was written.
        gone = sorted(uid for uid in self._deleted if uid not in self._pending or uid in uids)[: self._batch]
        try:
            if rows:
                await self._write(rows)
            if gone:
                await self._mark(gone)
        except DatabaseUnavailableError as error:
            if self._failures == 0:
                logger.warning("the mirror waits: %s", error.detail)
            self._failures += 1
            return min(MAX_BACKOFF_SECONDS, 0.2 * 2.0 ** min(self._failures, 10))
        if self._failures:
            logger.info("the mirror goes on, with %d changes", self.pending)
            self._failures = 0
        for uid in gone:
            del self._deleted[uid]
        if not self.pending:
            self._work.clear()
        return 0.0

    async def _write(self, rows: list[Raw]) -> None:
        """Write a batch; if Postgres does not take it, find out which row is at fault, and leave that one."""
        try:
            await self._writer.write(rows)
        except DatabaseUnavailableError:
            raise
        except Exception:
            if len(rows) > 1:
                middle = len(rows) // 2
                await self._write(rows[:middle])
                await self._write(rows[middle:])
                return
            logger.exception("OctoJob %s cannot be mirrored", rows[0]["metadata"]["name"])
            self._skipped()
            self._drop(rows[0])
            return
        now = asyncio.get_running_loop().time()
        for raw in rows:
            uid = raw["metadata"]["uid"]
            if uid in self._pending:
                self._took(now - self._pending[uid][1])
            if LABEL_ARCHIVED in raw["metadata"].get("labels", {}):
                self._held.pop(uid, None)  # Nobody will ask.
            elif uid not in self._deleted:
                self._held[uid] = max(_version(raw), self._held.get(uid, -1))
            self._drop(raw)
            self._committed(raw)

    async def _mark(self, uids: list[str]) -> None:
        """The same for the rows of those that are gone."""
        try:
            await self._writer.mark_deleted(uids)
        except DatabaseUnavailableError:
            raise
        except Exception:
            if len(uids) > 1:
                middle = len(uids) // 2
                await self._mark(uids[:middle])
                await self._mark(uids[middle:])
                return
            logger.exception("the row of the OctoJob with uid %s cannot be marked as deleted", uids[0])
            self._skipped()

    def _drop(self, raw: Raw) -> None:
        """Take out what was written, unless a newer version came meanwhile."""
        uid = raw["metadata"]["uid"]
        known = self._pending.get(uid)
        if known is not None and known[0] is raw:
            del self._pending[uid]


def _version(raw: Raw) -> int:
    return int(raw["metadata"]["resourceVersion"])
