"""The projector's way to Postgres: one transaction a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from octo_core.db.projection import live_versions, mark_deleted, project
from octo_core.db.session import Database

Raw = dict[str, Any]


class DatabaseWriter:
    """Rows by ``octo_core.db.projection``, for one namespace.

    ``fence`` is called before a transaction begins and before it commits; what it raises comes through.
    """

    def __init__(
        self,
        database: Database,
        *,
        namespace: str,
        clock: Callable[[], datetime],
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._namespace = namespace
        self._clock = clock
        self._fence = fence

    async def write(self, jobs: list[Raw]) -> None:
        """Project what is newer than what stands there."""
        self._fence()
        async with self._database.transaction() as session:
            await project(session, jobs, now=self._clock())
            self._fence()

    async def mark_deleted(self, uids: Iterable[str]) -> None:
        """Note that these OctoJobs are gone."""
        self._fence()
        async with self._database.transaction() as session:
            await mark_deleted(session, uids, now=self._clock())
            self._fence()

    async def live(self) -> dict[str, int]:
        """Rows whose OctoJob was not seen to be gone, and the version that each is of."""
        async with self._database.transaction() as session:
            return await live_versions(session, self._namespace)
