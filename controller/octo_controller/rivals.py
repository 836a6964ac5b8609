"""Controllers of another number of shards: while that number is changed, both sorts are there for a while.

Each holds its own Lease *before* it looks at the others', and acts only once it saw none that has a partition in common
with it held. Of two that look at the same time at least one sees the other, so never both act; an older one goes
on acting, and a newer one waits for its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from octo_core.domain.errors import OctoError
from octo_core.domain.names import LABEL_LEASE, LABEL_SHARD, LABEL_SHARDS
from octo_core.domain.partitions import Share
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import LEASES

Raw = dict[str, Any]
logger = logging.getLogger(__name__)


def lease_name(release: str, share: Share) -> str:
    """The Lease of one shard, whatever their number: so a release's rights need not change with that."""
    return f"{release}-{share.index}"


def lease_labels(release: str, share: Share) -> dict[str, str]:
    """By which Leases are found, and told apart."""
    return {LABEL_LEASE: release, LABEL_SHARD: str(share.index), LABEL_SHARDS: str(share.count)}


class Rivals:
    """Looks at the Leases of the same release. ``patience`` is the seconds for which one that does not change is
    respected, at least its own duration; ``clock`` goes on while the machine sleeps."""

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        release: str,
        share: Share,
        patience: float,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._release = release
        self._share = share
        self._patience = patience
        self._clock = clock
        self._seen: dict[str, tuple[Raw, float]] = {}

    async def acting(self) -> list[str]:
        """Names of Leases whose holders may act on what is ours. Raises what the API server answers."""
        page = await self._client.list_page(
            LEASES, self._namespace, label_selector=f"{LABEL_LEASE}={self._release}", limit=1000
        )
        return [raw["metadata"]["name"] for raw in page["items"] if self._acts(raw)]

    async def gone(self, *, every: float) -> None:
        """Return once there are none; looks ``every`` so many seconds. To be called while one's own Lease is held."""
        told: list[str] = []
        while True:
            try:
                found = await self.acting()
            except OctoError as error:
                logger.warning("the leases of other shards cannot be read: %s", error.detail)
            else:
                if not found:
                    return
                if found != told:
                    logger.info("waiting for controllers of another number of shards: %s", ", ".join(found))
                told = found
            await asyncio.sleep(every)

    def _acts(self, raw: Raw) -> bool:
        name, spec = raw["metadata"]["name"], raw.get("spec") or {}
        if name == lease_name(self._release, self._share) or not spec.get("holderIdentity"):
            return False
        if not self._share.meets(_share_of(raw)):
            return False
        known = self._seen.get(name)
        if known is None or known[0] != spec:
            self._seen[name] = known = (spec, self._clock())
        return self._clock() - known[1] < max(self._patience, float(spec.get("leaseDurationSeconds") or 0))


def _share_of(raw: Raw) -> Share:
    """What a Lease stands for; one that cannot be read, for everything."""
    labels = raw["metadata"].get("labels", {})
    try:
        return Share(int(labels[LABEL_SHARD]), int(labels[LABEL_SHARDS]))
    except (KeyError, ValueError):
        return Share()
