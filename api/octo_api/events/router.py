"""``/v1/events`` and ``/v1/jobs/{uid}/events``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic_core import to_json

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ServicesDep
from octo_api.events.schemas import EventPage, document
from octo_api.paging import JobIdPath, Limit, Namespace, ObjectNameQuery
from octo_api.routing.base import BaseRouter
from octo_core.db.events import EventFilter
from octo_core.domain.events import EventType

MAX_ID = 2**63 - 1

After = Annotated[int | None, Query(ge=0, le=MAX_ID, description="`lastId` of the page before.")]
Types = Annotated[
    list[EventType] | None, Query(alias="type", max_length=len(EventType), description="May be repeated.")
]
JobId = Annotated[str | None, Query(alias="jobId", max_length=64, pattern="^[A-Za-z0-9-]+$")]


class EventRouter(BaseRouter):
    """What happens to runs."""

    prefix = "/v1"
    tag = "events"

    def register_routes(self) -> None:
        self.add(
            "GET",
            "/events",
            self.events,
            access=Scope.JOBS_READ,
            action="events.list",
            model=EventPage,
            errors=(410,),
        )
        self.add(
            "GET",
            "/jobs/{uid}/events",
            self.job_events,
            access=Scope.JOBS_READ,
            action="jobs.events",
            model=EventPage,
            errors=(404,),
        )

    async def events(
        self,
        services: ServicesDep,
        caller: CallerDep,
        namespace: Namespace = None,
        provider: ObjectNameQuery = None,
        types: Types = None,
        job_id: JobId = None,
        after: After = None,
        limit: Limit = 50,
    ) -> Response:
        """Events of all runs, from the oldest kept on."""
        if namespace is not None:
            caller.require_namespace(namespace)
        wanted = EventFilter(
            namespaces=(namespace,) if namespace is not None else caller.visible_namespaces(),
            provider=provider,
            types=frozenset(types) if types else None,
            job_uid=job_id,
        )
        start = await services.events.start(after, default_to_head=False)
        page = await services.events.page(wanted, after=start, limit=limit)
        items = [document(event, event.position or 0) for event in page.items]
        return _page(items, last_id=page.last, more=page.more)

    async def job_events(
        self, services: ServicesDep, caller: CallerDep, uid: JobIdPath, after: After = None, limit: Limit = 50
    ) -> Response:
        """What a run went through, from its first event on."""
        await services.events.job(caller, uid)
        start = min(after or 0, 2**31 - 1)
        found = await services.events.of_job(uid, after=start, limit=limit + 1)
        items = [document(event, event.seq or 0) for event in found[:limit]]
        return _page(items, last_id=items[-1]["id"] if items else start, more=len(found) > limit)


def _page(items: list[dict[str, Any]], *, last_id: int, more: bool) -> Response:
    body = to_json({"items": items, "lastId": last_id, "more": more})
    return Response(body, media_type="application/json")
