"""Whether this process can do its work: its database, the schema in it, and the cluster."""

from __future__ import annotations

import asyncio
import logging

from octo_api.server.drain import Drain
from octo_core.db import migrate
from octo_core.db.session import Database
from octo_core.domain.errors import ClusterUnavailableError, DatabaseUnavailableError, ForbiddenError
from octo_core.kube.client import KubeClient

logger = logging.getLogger(__name__)

OK = "ok"
_TIMEOUT_SECONDS = 3.0


class Health:
    """Asks each part at the same time, and waits for none longer than a probe would."""

    def __init__(
        self, database: Database, kube: KubeClient, *, schema: str, first_key: asyncio.Event, drain: Drain
    ) -> None:
        self._database = database
        self._kube = kube
        self._schema = schema
        self._first_key = first_key
        self._drain = drain
        self._told: str | None = None

    async def check(self) -> dict[str, str]:
        """For each part ``ok``, or what is wrong with it."""
        database, cluster = await asyncio.gather(self._check_database(), self._check_cluster())
        ending = {"process": "it was told to end"} if self._drain.begun else {}
        return {"database": database, "cluster": cluster, **ending}

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS), self._database.transaction() as session:
                found = await migrate.schema(session)
        except (DatabaseUnavailableError, TimeoutError):
            return "Postgres does not answer"
        if found is None or found.version < self._schema:
            version = found and found.version
            return f"the schema is at version {version}, this server needs {self._schema}: run `octo-api migrate`"
        if not found.serves(self._schema):
            return f"the schema is at version {found.version}, which needs a server that knows {found.needs}"
        if found.version != self._schema and found.version != self._told:
            # As after `helm rollback`, which leaves the schema as it is.
            self._told = found.version
            logger.warning(
                "the schema is newer than this server, which works on it all the same",
                extra={"found": found.version, "known": self._schema},
            )
        if not self._first_key.is_set():
            # Whoever waits for readiness after an install goes on with that key.
            return "the first API key is not stored yet"
        return OK

    async def _check_cluster(self) -> str:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await self._kube.ready()
        except (ClusterUnavailableError, ForbiddenError, TimeoutError):
            return "the Kubernetes API does not answer"
        return OK
