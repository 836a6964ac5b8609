"""Audit rows, written in batches beside the requests: Postgres being away delays them, and fails nobody's request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from octo_api.context import RequestContext
from octo_api.metrics import Metrics
from octo_core.db import audit
from octo_core.db.audit import AuditEntry, AuditOutcome
from octo_core.db.group_commit import GroupCommit
from octo_core.db.session import Database
from octo_core.db.submissions import AUDIT
from octo_core.domain.errors import DatabaseUnavailableError

logger = logging.getLogger("octo.audit")

CAPACITY = 10_000
GONE_AWAY = 499
"""Status in the log of a request whose client did not wait for the answer."""
_BATCH = 200
_RETRY_SECONDS = 2.0
_KEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Pending:
    entry: AuditEntry
    kept: asyncio.Future[None] | None


class AuditLog:
    """Writes each entry with the next group of what requests write. Each entry is logged too.

    What could not be written for now waits in a bounded buffer, for a task of its own.
    """

    def __init__(self, *, clock: Callable[[], datetime], metrics: Metrics, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._metrics = metrics
        self._capacity = capacity
        self._pending: list[_Pending] = []
        self._wake = asyncio.Event()
        self._away = False
        self._flushing = asyncio.Lock()
        self._group: GroupCommit | None = None

    def write_with(self, group: GroupCommit) -> None:
        """From now on write with this group."""
        self._group = group

    async def keep(self, context: RequestContext, status: int) -> None:
        """Record what became of a request, and wait until the row is committed; never raises.

        Waits a second at most, and not at all while Postgres is away: the row then follows when it is back.
        """
        kept: asyncio.Future[None] | None = None if self._away else asyncio.get_running_loop().create_future()
        self.note(context, status, kept)
        if kept is not None:
            await asyncio.wait((kept,), timeout=_KEEP_SECONDS)

    def note(self, context: RequestContext, status: int, kept: asyncio.Future[None] | None = None) -> None:
        """Record what became of a request; never raises, never waits. Resolves ``kept`` when that is certain."""
        entry = AuditEntry(
            at=self._clock(),
            actor=context.actor,
            action=context.action or "unknown",
            outcome=outcome_of(status),
            namespace=context.namespace,
            resource=context.resource,
            status=status,
            request_id=context.request_id,
            client=context.client,
            details=context.details,
            intent=context.intent,
            intended=context.intended,
        )
        logger.info(
            "%s %s",
            entry.action,
            entry.outcome,
            extra={"actor": entry.actor, "resource": entry.resource, "status": status, "client": entry.client},
        )
        pending = _Pending(entry, kept)
        if self._group is None or self._pending:
            self._later(pending)
            return
        try:
            written = self._group.add(AUDIT, entry)
        except DatabaseUnavailableError:
            self._later(pending)
        else:
            written.add_done_callback(partial(self._written, pending))

    def _written(self, pending: _Pending, written: asyncio.Future[None]) -> None:
        error = None if written.cancelled() else written.exception()
        if written.cancelled() or isinstance(error, DatabaseUnavailableError):
            self._away = True
            _resolve(pending.kept)
            self._later(pending)
            return
        if error is not None:
            logger.error("audit row could not be written", exc_info=error)
            self._metrics.audit_dropped.inc()
        _resolve(pending.kept)

    def _later(self, pending: _Pending) -> None:
        if len(self._pending) >= self._capacity:
            self._metrics.audit_dropped.inc()
            _resolve(pending.kept)
            return
        self._pending.append(pending)
        self._wake.set()

    async def run(self, database: Database) -> None:
        """Write what could not be written when it came, until cancelled."""
        while True:
            await self._wake.wait()
            try:
                await self.flush(database)
            except DatabaseUnavailableError:
                await asyncio.sleep(_RETRY_SECONDS)

    async def flush(self, database: Database) -> None:
        """Write all that is pending; raises DatabaseUnavailableError and keeps what was not written."""
        async with self._flushing:
            await self._flush(database)

    async def _flush(self, database: Database) -> None:
        self._wake.clear()
        while self._pending:
            batch = self._pending[:_BATCH]
            try:
                async with database.transaction() as session:
                    await audit.add(session, [pending.entry for pending in batch])
            except DatabaseUnavailableError:
                self._away = True
                for pending in self._pending:
                    _resolve(pending.kept)
                self._wake.set()
                raise
            except Exception:
                # It would fail again and keep all later ones from being written.
                logger.exception("audit rows could not be written")
                self._metrics.audit_dropped.inc(len(batch))
            self._away = False
            for pending in batch:
                _resolve(pending.kept)
            del self._pending[: len(batch)]


def outcome_of(status: int) -> AuditOutcome:
    """What an answer of this status means. Whether something was done before a failure is not known."""
    return AuditOutcome.DENIED if 400 <= status < GONE_AWAY else AuditOutcome.ALLOWED


def _resolve(kept: asyncio.Future[None] | None) -> None:
    if kept is not None and not kept.done():
        kept.set_result(None)
