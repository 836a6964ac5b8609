"""Reads the audit log, and keeps it from growing for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from octo_core.db import audit
from octo_core.db.audit import AuditEntry, AuditFilter
from octo_core.db.session import Database

_BATCH = 1000


class AuditReader:
    """Entries as they were written. Raises DatabaseUnavailableError."""

    def __init__(self, database: Database, *, kept: timedelta, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._kept = kept
        self._clock = clock

    async def page(
        self, wanted: AuditFilter, *, after: tuple[datetime, int] | None, limit: int
    ) -> list[tuple[int, AuditEntry]]:
        """Entries with their ids, from the newest on."""
        async with self._database.transaction() as session:
            return await audit.page(session, wanted, after=after, limit=limit)

    async def prune(self) -> int:
        """Delete what is older than it has to be kept; returns how many entries."""
        before, gone = self._clock() - self._kept, 0
        while True:
            async with self._database.transaction() as session:
                found = await audit.prune(session, before=before, limit=_BATCH)
            gone += found
            if found < _BATCH:
                return gone
