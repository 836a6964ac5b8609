"""The projector's way to Postgres: one transaction a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from octo_core.db.projection import live_uids, mark_deleted, project
from octo_core.db.session import Database

Raw = dict[str, Any]


class DatabaseWriter:
    """Rows by ``octo_core.db.projection``, for one namespace."""

    def __init__(self, database: Database, *, namespace: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._namespace = namespace
        self._clock = clock

    async def write(self, jobs: list[Raw]) -> None:
        """Project what is newer than what stands there."""
        async with self._database.transaction() as session:
            await project(session, jobs, now=self._clock())

    async def mark_deleted(self, uids: Iterable[str]) -> None:
        """Note that these OctoJobs are gone."""
        async with self._database.transaction() as session:
            await mark_deleted(session, uids, now=self._clock())

    async def live(self) -> set[str]:
        """Rows whose OctoJob was not seen to be gone."""
        async with self._database.transaction() as session:
            return await live_uids(session, self._namespace)
