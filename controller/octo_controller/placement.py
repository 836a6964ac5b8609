"""Which OctoJobs are this controller's, and labels for those that nobody's selector or a wrong one matches."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from octo_core.domain.errors import ConflictError, NotFoundError, OctoError
from octo_core.domain.names import LABEL_PARTITION
from octo_core.domain.partitions import Share, partition_labels, partition_of
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class Placement:
    """Tells one's own OctoJobs from others, and gives the others their label while ``run`` runs.

    An OctoJob is decided by the controller that owns its partition, once it carries that partition's label, so by
    one at most. A single controller owns them all and labels none.
    """

    def __init__(self, client: KubeClient, *, namespace: str, share: Share) -> None:
        self.share = share
        self._client = client
        self._namespace = namespace
        self._misplaced: dict[str, Raw] = {}
        self._work = asyncio.Event()

    def placed(self, raw: Raw) -> bool:
        """Whether this controller decides the OctoJob as it is."""
        if self.share.whole:
            return True
        partition = self._partition(raw)
        label = raw["metadata"].get("labels", {}).get(LABEL_PARTITION)
        return label == str(partition) and self.share.owns(partition)

    def takes(self, raw: Raw, *, gone: bool) -> bool:
        """Whether what was heard of an OctoJob is to be taken in; if not, it is another's, and labelled for it."""
        name = raw["metadata"]["name"]
        self._misplaced.pop(name, None)
        if self.share.whole:
            return True
        if gone:
            # A selector that does not match any more is told like a deletion; only that one was announced.
            return self.placed(raw) and "deletionTimestamp" in raw["metadata"]
        if self.placed(raw):
            return True
        self._misplaced[name] = raw
        self._work.set()
        return False

    def owns_provider(self, name: str) -> bool:
        """Whether this controller fires the provider's schedule and writes its status."""
        return self.share.owns(partition_of(self._namespace, name))

    async def run(self) -> None:
        """Label until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            for name, raw in list(self._misplaced.items()):
                if not await self._label(name, raw):
                    self._work.set()
            if self._work.is_set():
                await asyncio.sleep(RETRY_SECONDS)

    async def _label(self, name: str, raw: Raw) -> bool:
        """Give an OctoJob its label; False to try again."""
        labels = partition_labels(self._namespace, raw["spec"]["providerRef"]["name"])
        body = {"metadata": {"resourceVersion": raw["metadata"]["resourceVersion"], "labels": labels}}
        try:
            await self._client.patch(OCTOJOBS, self._namespace, name, body)
        except (ConflictError, NotFoundError):
            pass  # It changed, and the watch tells how.
        except OctoError as error:
            logger.warning("OctoJob %s could not be given its label: %s", name, error.detail)
            return False
        if self._misplaced.get(name) is raw:
            del self._misplaced[name]
        return True

    def _partition(self, raw: Raw) -> int:
        return partition_of(self._namespace, raw["spec"]["providerRef"]["name"])
