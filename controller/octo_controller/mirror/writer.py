"""The projector's way to Postgres: one transaction a batch."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from octo_core.db import mirrors, provider_rows
from octo_core.db.mirrors import Claim, Found
from octo_core.db.projection import live_versions, mark_deleted, project
from octo_core.db.provider_rows import ProviderCopy
from octo_core.db.session import AsyncSession, Database

Raw = dict[str, Any]
logger = logging.getLogger(__name__)


class DatabaseWriter:
    """Rows by ``octo_core.db.projection``, for one namespace.

    ``fence`` is called before a transaction begins and before it commits; what it raises comes through. ``claim`` says
    who writes; ``replaced`` is called when Postgres is seen not to hold what was written before.
    """

    def __init__(
        self,
        database: Database,
        *,
        claim: Callable[[], Claim],
        clock: Callable[[], datetime],
        fence: Callable[[], None] = lambda: None,
        replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._wanted = claim
        self._clock = clock
        self._fence = fence
        self._replaced = replaced
        self._claimed = False

    async def write(self, jobs: list[Raw]) -> None:
        """Project what is newer than what stands there."""
        async with self._transaction() as session:
            await project(session, jobs, now=self._clock())

    async def mark_deleted(self, uids: Iterable[str]) -> None:
        """Note that these OctoJobs are gone."""
        async with self._transaction() as session:
            await mark_deleted(session, uids, now=self._clock())

    async def claim(self) -> None:
        """See that Postgres still is the database that was written to."""
        async with self._transaction():
            pass

    async def live(self) -> dict[str, int]:
        """Rows whose OctoJob was not seen to be gone, and the version that each is of."""
        async with self._database.transaction() as session:
            return await live_versions(session, self._wanted().namespace)

    async def providers(self) -> set[str]:
        """Names of the OctoProviders that there is a copy of."""
        async with self._transaction() as session:
            return await provider_rows.names(session, self._wanted().namespace)

    async def write_providers(self, copies: Sequence[ProviderCopy], gone: Collection[str]) -> None:
        """Copy these, and forget those."""
        namespace = self._wanted().namespace
        async with self._transaction() as session:
            await provider_rows.put(session, namespace, copies, now=self._clock())
            await provider_rows.remove(session, namespace, gone)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        self._fence()
        async with self._database.transaction() as session:
            found = await mirrors.claim(session, self._wanted(), now=self._clock())
            if found is Found.OTHER_CLUSTER:
                logger.warning("Postgres has runs of another cluster; `octo-controller restore` takes them over")
            if found in (Found.NOTHING, Found.OTHER_CLUSTER) or (found is Found.EARLIER and self._claimed):
                # Before anything of this transaction counts as held.
                self._replaced()
            yield session
            self._fence()
        self._claimed = True
