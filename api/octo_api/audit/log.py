"""Audit rows, written behind the request: Postgres being away delays them, and fails nobody's request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from octo_api.context import RequestContext
from octo_api.metrics import Metrics
from octo_core.db import audit
from octo_core.db.audit import AuditEntry, AuditOutcome
from octo_core.db.session import Database
from octo_core.domain.errors import DatabaseUnavailableError

logger = logging.getLogger("octo.audit")

CAPACITY = 10_000
_BATCH = 200
_RETRY_SECONDS = 2.0


class AuditLog:
    """A bounded buffer of entries and the task that writes them. Each entry is logged too."""

    def __init__(self, *, clock: Callable[[], datetime], metrics: Metrics, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._metrics = metrics
        self._capacity = capacity
        self._pending: list[AuditEntry] = []
        self._wake = asyncio.Event()

    def note(self, context: RequestContext, status: int) -> None:
        """Record what became of a request; never raises, never waits."""
        entry = AuditEntry(
            at=self._clock(),
            actor=context.actor,
            action=context.action or "unknown",
            outcome=AuditOutcome.DENIED if status in (401, 403) else AuditOutcome.ALLOWED,
            namespace=context.namespace,
            resource=context.resource,
            status=status,
            request_id=context.request_id,
            client=context.client,
            details=context.details,
        )
        logger.info(
            "%s %s",
            entry.action,
            entry.outcome,
            extra={"actor": entry.actor, "resource": entry.resource, "status": status, "client": entry.client},
        )
        if len(self._pending) >= self._capacity:
            self._metrics.audit_dropped.inc()
            return
        self._pending.append(entry)
        self._wake.set()

    async def run(self, database: Database) -> None:
        """Write entries as they come, until cancelled."""
        while True:
            await self._wake.wait()
            try:
                await self.flush(database)
            except DatabaseUnavailableError:
                await asyncio.sleep(_RETRY_SECONDS)

    async def flush(self, database: Database) -> None:
        """Write all that is pending; raises DatabaseUnavailableError and keeps what was not written."""
        self._wake.clear()
        while self._pending:
            batch = self._pending[:_BATCH]
            try:
                async with database.transaction() as session:
                    await audit.add(session, batch)
            except DatabaseUnavailableError:
                self._wake.set()
                raise
            except Exception:
                # It would fail again and keep all later ones from being written.
                logger.exception("audit rows could not be written")
                self._metrics.audit_dropped.inc(len(batch))
            del self._pending[: len(batch)]
