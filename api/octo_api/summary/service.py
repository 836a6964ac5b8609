"""Counts of runs, read from what the database keeps of each day."""

from __future__ import annotations

from datetime import date

from octo_core.db import days
from octo_core.db.days import Day
from octo_core.db.session import Database
from octo_core.domain.status import State

FOLD_SECONDS = 30.0
_BATCH = 20_000


class SummaryService:
    """Raises DatabaseUnavailableError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, namespaces: tuple[str, ...] | None, *, since: date) -> tuple[dict[State, int], list[Day]]:
        """How many runs are in each state, and what each day since then came to; None for all namespaces."""
        async with self._database.transaction() as session:
            return await days.states(session, namespaces), await days.days(session, namespaces, since=since)

    async def fold(self) -> None:
        """Keep the days short."""
        while True:
            async with self._database.transaction() as session:
                if not await days.fold(session, limit=_BATCH):
                    return
