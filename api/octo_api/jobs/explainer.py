"""Gathers what an explanation is made of; what the cluster does not tell is left out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from octo_api.auth.caller import Caller
from octo_api.errors import acting_on_cluster
from octo_api.jobs.visible import visible
from octo_core.crd.resources import Raw
from octo_core.db import job_reads
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.domain import names
from octo_core.domain.errors import NotFoundError, OctoError
from octo_core.domain.explain import ClusterView, Explanation, explain
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import EVENTS, OCTOJOBS, PODS, Resource

_MAX_PODS = 64
_MAX_EVENTS = 100
_ASKED_ABOUT = 5
"""Pods whose events are looked up; of many workers that fail, they all say the same."""


class Explainer:
    """Explains runs."""

    def __init__(self, database: Database, kube: KubeClient, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._kube = kube
        self._clock = clock

    async def explain(self, caller: Caller, uid: str) -> Explanation:
        """Raises JobNotFoundError or DatabaseUnavailableError; without the cluster it says what the mirror has."""
        async with self._database.transaction() as session:
            record = await visible(session, caller, uid)
        view, record = await self._live(record)
        pods: list[Raw] = []
        events: list[Raw] = []
        if view is not ClusterView.UNAVAILABLE:
            try:
                pods = await self._list(PODS, record.namespace, label=f"{names.LABEL_JOB_UID}={uid}", limit=_MAX_PODS)
                about = [("OctoJob", uid), *(("Pod", pod["metadata"]["uid"]) for pod in pods[-_ASKED_ABOUT:])]
                found = await asyncio.gather(*(self._events(record.namespace, kind, of) for kind, of in about))
                events = [event for each in found for event in each]
            except OctoError:
                view = ClusterView.UNAVAILABLE
        return explain(record, view, pods, events, now=self._clock())

    async def _live(self, record: JobRecord) -> tuple[ClusterView, JobRecord]:
        if record.deleted_at is not None:
            return ClusterView.GONE, record
        try:
            with acting_on_cluster():
                job = await self._kube.get(OCTOJOBS, record.namespace, record.name)
        except NotFoundError:
            return ClusterView.GONE, record
        except OctoError:
            return ClusterView.UNAVAILABLE, record
        if job["metadata"]["uid"] != record.uid:
            return ClusterView.GONE, record
        return ClusterView.LIVE, job_reads.record_of(job)

    async def _events(self, namespace: str, kind: str, uid: str) -> list[Raw]:
        selector = f"involvedObject.kind={kind},involvedObject.uid={uid}"
        return await self._list(EVENTS, namespace, field=selector, limit=_MAX_EVENTS)

    async def _list(
        self, resource: Resource, namespace: str, *, label: str = "", field: str = "", limit: int
    ) -> list[Raw]:
        with acting_on_cluster():
            page = await self._kube.list_page(
                resource, namespace, label_selector=label, field_selector=field, limit=limit
            )
        items: list[Raw] = page["items"]
        return items
