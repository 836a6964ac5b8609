"""Knows when the namespace is being deleted, and then lets go of what is in it.

Kubernetes deletes a namespace's pods first, also those of a controller that runs in it; the OctoJobs that it deletes
next would wait for their finalizer, and the namespace with them, for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from octo_core.domain.errors import ConflictError, ForbiddenError, NotFoundError, OctoError
from octo_core.domain.names import ARCHIVE_FINALIZER
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import NAMESPACES, OCTOJOBS

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
LEADERLESS_SECONDS = 30.0
"""Longer than a Lease lasts, and than a leader waits for the archive then."""
TRIES = 5


class NamespaceWatch:
    """Looks at the namespace every few seconds; ``leaving`` is called once, when it is seen to be deleted.

    ``client`` must not be fenced by the Lease.
    """

    def __init__(
        self, client: KubeClient, name: str, *, leaving: Callable[[], None], leading: Callable[[], bool]
    ) -> None:
        self._client = client
        self._name = name
        self._leaving = leaving
        self._leading = leading
        self.terminating = False
        self.uid: str | None = None
        """By which the namespace of this cluster is told from one of the same name in another; None if it may not
        be looked at."""

    async def identify(self) -> None:
        """Learn ``uid``. Raises ClusterUnavailableError."""
        if self.uid is None:
            try:
                self.uid = (await self._client.get(NAMESPACES, None, self._name))["metadata"]["uid"]
            except (ForbiddenError, NotFoundError) as error:
                logger.warning("runs of another cluster are not told from deleted ones: %s", error.detail)

    async def run(self) -> None:
        """Look until cancelled.

        The Lease goes with the namespace, and none can be made in one that is being deleted: whoever lost it, or came
        too late, releases the OctoJobs without it once a leader has had its time.
        """
        leaderless = 0.0
        while True:
            if await self.look() and not self._leading():
                leaderless += POLL_SECONDS
                if leaderless >= LEADERLESS_SECONDS:
                    with contextlib.suppress(OctoError):
                        await self.release_all()
            await asyncio.sleep(POLL_SECONDS)

    async def look(self) -> bool:
        """Whether the namespace is being deleted, as far as it can be told."""
        if not self.terminating:
            try:
                raw = await self._client.get(NAMESPACES, None, self._name)
            except OctoError as error:
                # Without the right to look, a controller outside goes on as if it were not.
                logger.debug("the namespace cannot be looked at: %s", error.detail)
                return False
            self.terminating = bool(raw["metadata"].get("deletionTimestamp"))
            if self.terminating:
                logger.warning("namespace %s is being deleted", self._name)
                self._leaving()
        return self.terminating

    async def release_all(self) -> set[str]:
        """Take the archive's finalizer from every OctoJob of the namespace; the uids of those that had it.

        For the end of a controller that goes with its namespace: nobody comes after it.
        """
        released: set[str] = set()
        for _ in range(TRIES):
            changed = False
            async for raw in self._client.items(OCTOJOBS, self._name):
                meta = raw["metadata"]
                rest = [name for name in meta.get("finalizers", ()) if name != ARCHIVE_FINALIZER]
                if len(rest) == len(meta.get("finalizers", ())):
                    continue
                # Conditional, so that a finalizer which another adds meanwhile is not lost.
                body = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": rest}}
                try:
                    await self._client.patch(OCTOJOBS, self._name, meta["name"], body)
                except NotFoundError:
                    pass
                except ConflictError:
                    changed = True
                    continue
                released.add(meta["uid"])
            if not changed:
                break
        return released
