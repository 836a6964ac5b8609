"""``/v1/events`` and ``/v1/jobs/{uid}/events``: pages as JSON, streams as text/event-stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Header, Query, Response
from pydantic_core import to_json

from octo_api.auth.caller import Caller, Scope
from octo_api.deps import CallerDep, ReauthenticateDep, ServicesDep
from octo_api.errors import TooManyStreamsError
from octo_api.events.examples import PAGE, STREAM
from octo_api.events.frames import MEDIA_TYPE
from octo_api.events.schemas import EventPage, document
from octo_api.events.sources import AllEvents, JobEvents, Source
from octo_api.events.streaming import EventStream, Reauthenticate, Standing
from octo_api.paging import JobIdPath, Limit, Namespace, ObjectNameQuery
from octo_api.routing.base import BaseRouter, Responses
from octo_api.services import Services
from octo_core.db.events import EventFilter
from octo_core.domain.events import EventType

MAX_ID = 2**63 - 1
MAX_SEQUENCE = 2**31 - 1

After = Annotated[int | None, Query(ge=0, le=MAX_ID, description="`id` of the last event seen, or `lastId` of a page.")]
LastEventId = Annotated[
    int | None,
    Header(alias="Last-Event-ID", ge=0, le=MAX_ID, description="As `after`, and before it, when a stream resumes."),
]
Types = Annotated[
    list[EventType] | None, Query(alias="type", max_length=len(EventType), description="May be repeated.")
]
JobId = Annotated[str | None, Query(alias="jobId", max_length=64, pattern="^[A-Za-z0-9-]+$")]
Accept = Annotated[str | None, Header(description="`text/event-stream` asks for a stream, anything else for a page.")]

_BOTH: Responses = {
    200: {
        "description": "A page, or a stream.",
        "content": {
            "application/json": {"example": PAGE},
            MEDIA_TYPE: {"schema": {"type": "string"}, "example": STREAM},
        },
    }
}


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
            answers=_BOTH,
            errors=(410,),
        )
        self.add(
            "GET",
            "/jobs/{uid}/events",
            self.job_events,
            access=Scope.JOBS_READ,
            action="jobs.events",
            model=EventPage,
            answers={**_BOTH, 204: {"description": "The stream has nothing more to say: do not reconnect."}},
            errors=(404, 410),
        )

    async def events(
        self,
        services: ServicesDep,
        caller: CallerDep,
        again: ReauthenticateDep,
        namespace: Namespace = None,
        provider: ObjectNameQuery = None,
        types: Types = None,
        job_id: JobId = None,
        after: After = None,
        limit: Limit = 50,
        last_event_id: LastEventId = None,
        accept: Accept = None,
    ) -> Response:
        """Events of all runs in one order.

        A page begins with the oldest event kept, a stream with the next to come, unless `after` or
        `Last-Event-ID` says otherwise.
        """
        if namespace is not None:
            caller.require_namespace(namespace)
        wanted = EventFilter(
            namespaces=(namespace,) if namespace is not None else caller.visible_namespaces(),
            provider=provider,
            types=frozenset(types) if types else None,
            job_uid=job_id,
        )
        if _wants_stream(accept):
            given = last_event_id if last_event_id is not None else after
            start = await services.events.start(given, default_to_head=True)
            source = AllEvents(services.feed, services.events, wanted, after=start)
            return _stream(services, source, caller, again, run=job_id)
        start = await services.events.start(after, default_to_head=False)
        page = await services.events.page(wanted, after=start, limit=limit)
        items = [document(event, event.position) for event in page.items if event.position is not None]
        return _page(items, last_id=page.last, more=page.more)

    async def job_events(
        self,
        services: ServicesDep,
        caller: CallerDep,
        again: ReauthenticateDep,
        uid: JobIdPath,
        after: After = None,
        limit: Limit = 50,
        last_event_id: LastEventId = None,
        accept: Accept = None,
    ) -> Response:
        """What a run went through, from its first event on. A stream ends with the event that ends the run."""
        record = await services.events.job(caller, uid)
        if _wants_stream(accept):
            given = last_event_id if last_event_id is not None else after
            start = await services.events.start_of_job(record, min(given or 0, MAX_SEQUENCE))
            if start is None:
                return Response(status_code=204)
            source = JobEvents(services.feed, services.events, uid, after=start)
            return _stream(services, source, caller, again, run=uid)
        begin = min(after or 0, MAX_SEQUENCE)
        found = await services.events.of_job(uid, after=begin, limit=limit + 1)
        items = [document(event, event.seq) for event in found[:limit] if event.seq is not None]
        return _page(items, last_id=items[-1]["id"] if items else begin, more=len(found) > limit)


def _wants_stream(accept: str | None) -> bool:
    return any(part.partition(";")[0].strip().lower() == MEDIA_TYPE for part in (accept or "").split(","))


def _stream(
    services: Services, source: Source, caller: Caller, again: Reauthenticate, *, run: str | None
) -> EventStream:
    limits = services.stream_limits
    if services.feed.closed or services.feed.streams >= limits.streams:
        raise TooManyStreamsError("This server takes no more streams at the moment; try again.")
    standing = Standing(caller, again, every_seconds=limits.heartbeat_seconds)
    return EventStream(source, services.feed, standing, run=run, heartbeat_seconds=limits.heartbeat_seconds)


def _page(items: Iterable[dict[str, Any]], *, last_id: int, more: bool) -> Response:
    body = to_json({"items": items, "lastId": last_id, "more": more})
    return Response(body, media_type="application/json")
