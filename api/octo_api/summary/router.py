"""``/v1/summary``."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Annotated

from fastapi import Query

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ServicesDep
from octo_api.paging import Namespace
from octo_api.routing.base import BaseRouter
from octo_api.summary.schemas import Summary, summary_of

MAX_DAYS = 400

Days = Annotated[int, Query(ge=1, le=MAX_DAYS, description="How many days, of which today is the last.")]


class SummaryRouter(BaseRouter):
    """What there is at a glance."""

    prefix = "/v1/summary"
    tag = "jobs"

    def register_routes(self) -> None:
        self.add("GET", "", self.get_summary, access=Scope.JOBS_READ, action="jobs.summary")

    async def get_summary(
        self, services: ServicesDep, caller: CallerDep, namespace: Namespace = None, days: Days = 30
    ) -> Summary:
        """Count runs by state, and what ended on each day by outcome, of all that the caller may see."""
        if namespace is not None:
            caller.require_namespace(namespace)
        namespaces = (namespace,) if namespace is not None else caller.visible_namespaces()
        now = services.clock()
        today = now.astimezone(UTC).date()
        since = today - timedelta(days=days - 1)
        counts, found = await services.summary.read(namespaces, since=since)
        return summary_of(now, since, today, counts, found)
