"""The pods of child Jobs, as they are now.

The API server has no index by label: to list the pods of one Job it goes through all of the namespace's. So while many
runs end at once, one list answers all who have asked by the time that it begins.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from octo_controller.reconcile.model import Pods
from octo_controller.reconcile.views import pod_view
from octo_core.domain.errors import OctoError
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import PODS

Raw = dict[str, Any]
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
JOB_UID_LABEL = "batch.kubernetes.io/controller-uid"
GATHER_SECONDS = 0.2
"""From the begin of one list to that of the next, at least: much less than a run waits for its row in Postgres."""
TOGETHER = 50
"""How many Jobs are asked for in one list: their names have to fit into its address."""


@dataclass(slots=True)
class _Batch:
    names: set[str] = field(default_factory=set)
    found: dict[str, list[Raw]] | None = None
    error: OctoError | None = None


class PodLists:
    """Lists pods of one namespace. ``gather`` is the seconds from one list to the next, for others to join it."""

    def __init__(self, client: KubeClient, *, namespace: str, gather: float) -> None:
        self._client = client
        self._namespace = namespace
        self._gather = gather
        self._listing = asyncio.Lock()
        self._next = -float("inf")
        self._batch = _Batch()

    async def of(self, job: str, *, uid: str | None) -> Pods:
        """The pods of the Job of that name, from the oldest on; with its ``uid``, not those of another one that had
        the name before. Raises what the API server answers."""
        batch = self._batch
        batch.names.add(job)
        if len(batch.names) >= TOGETHER:
            self._batch = _Batch()
        async with self._listing:
            if batch.found is None and batch.error is None:
                await self._fill(batch)
        if batch.error is not None:
            raise batch.error
        raws = (batch.found or {}).get(job, ())
        own = [raw for raw in raws if uid in (None, raw["metadata"].get("labels", {}).get(JOB_UID_LABEL, uid))]
        own.sort(key=lambda raw: (raw["metadata"]["creationTimestamp"], raw["metadata"]["name"]))
        return Pods(tuple(pod_view(raw) for raw in own))

    async def _fill(self, batch: _Batch) -> None:
        """Cut off here, whoever comes next does it anew."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(self._next - loop.time(), 0))
        self._next = loop.time() + self._gather
        if self._batch is batch:
            # Who asks from here on may know of more than this list shows.
            self._batch = _Batch()
        try:
            batch.found = await self._list(sorted(batch.names))
        except OctoError as error:
            batch.error = error

    async def _list(self, names: list[str]) -> dict[str, list[Raw]]:
        joined = ",".join(names)
        selector = f"{JOB_NAME_LABEL}={joined}" if len(names) == 1 else f"{JOB_NAME_LABEL} in ({joined})"
        found: dict[str, list[Raw]] = {name: [] for name in names}
        token = ""
        while True:
            page = await self._client.list_page(PODS, self._namespace, label_selector=selector, continue_token=token)
            for raw in page["items"]:
                found[raw["metadata"]["labels"][JOB_NAME_LABEL]].append(raw)
            token = page.get("metadata", {}).get("continue", "")
            if not token:
                return found
