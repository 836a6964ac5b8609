"""The ledger in Postgres, and resets on the OctoProvider."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from octo_api.ledger.resets import reset_id, with_resets, without
from octo_api.providers.service import ProviderService
from octo_core.db import ledger
from octo_core.db.ledger import LedgerFilter
from octo_core.db.session import Database
from octo_core.domain.errors import OctoError

logger = logging.getLogger(__name__)


class LedgerService:
    """What was fetched, and what is to be fetched again. Who may ask has been decided before."""

    def __init__(self, database: Database, providers: ProviderService, *, new_key: Callable[[], str]) -> None:
        self._database = database
        self._providers = providers
        self._new_key = new_key

    async def page(
        self, namespace: str, provider: str, wanted: LedgerFilter, *, after: tuple[str, str] | None, limit: int
    ) -> list[dict[str, Any]]:
        """Entries by path, also of a provider that is gone."""
        async with self._database.transaction() as session:
            return await ledger.page(session, namespace, provider, wanted, after=after, limit=limit)

    async def reset(
        self, namespace: str, provider: str, paths: Sequence[str], *, tenant: str, idempotency_key: str | None
    ) -> tuple[dict[str, str], set[str]]:
        """Have these files fetched again by the next run that begins: the id of each, and which the ledger knows.

        Raises ProviderNotFoundError, InvalidError if too many wait, and the two for stores that are away.
        """
        key = idempotency_key or self._new_key()
        ids = {path: reset_id(tenant, key, path) for path in paths}
        raw = await self._providers.get(namespace, provider)
        waiting = {entry["path"] for entry in raw["spec"].get("refetch", ())}
        async with self._database.transaction() as session:
            finished = await ledger.done_refetches(session, namespace, provider, waiting | ids.keys())
        await self._providers.change(
            namespace, provider, lambda raw: with_resets(raw, ids, done=finished), if_match=None
        )
        async with self._database.transaction() as session:
            known = await ledger.known_paths(session, namespace, provider, set(ids))
        return ids, known

    async def forget(self, namespace: str, provider: str, done: AbstractSet[str]) -> None:
        """Take out resets that are done. A courtesy: one that stays is seen to be done by every later run."""
        try:
            await self._providers.change(namespace, provider, lambda raw: without(raw, done), if_match=None)
        except OctoError as error:
            logger.info("resets not taken out", extra={"code": error.code, "provider": provider})
