"""``/v1/jobs/{uid}/logs``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ReauthenticateDep, ServicesDep
from octo_api.jobs.logs.reader import Found, Wish
from octo_api.paging import JobIdPath
from octo_api.routing.base import BaseRouter
from octo_core.domain.model import Model, Moment

SOURCE_HEADER = "Octo-Log-Source"
COMPLETE_HEADER = "Octo-Log-Complete"
_MEDIA_TYPE = "text/plain"


class LogQuery(Model):
    """Query of ``GET /v1/jobs/{uid}/logs``."""

    follow: bool = Field(default=False, description="Go on with each line as it comes, until the attempt has ended.")
    attempt: int | None = Field(default=None, ge=1, le=1000, description="Default: the latest.")
    worker: int = Field(default=0, ge=0, le=63, description="Which of the workers that share the run.")
    tail_lines: int | None = Field(default=None, ge=0, le=100_000, description="Only the last so many.")
    since_seconds: int | None = Field(default=None, ge=1, le=10**8, description="Only lines younger than that.")
    since: Moment | None = Field(default=None, description="Only lines of that time or later.")
    timestamps: bool = Field(default=False, description="Begin each line with its time (RFC 3339) and a space.")


class JobLogRouter(BaseRouter):
    """Logs of runs."""

    prefix = "/v1/jobs/{uid}"
    tag = "jobs"

    def register_routes(self) -> None:
        self.add(
            "GET",
            "/logs",
            self.logs,
            access=Scope.LOGS_READ,
            action="jobs.logs",
            errors=(404,),
            answers={200: {"description": "The log.", "content": {_MEDIA_TYPE: {"schema": {"type": "string"}}}}},
        )

    async def logs(
        self,
        services: ServicesDep,
        caller: CallerDep,
        again: ReauthenticateDep,
        uid: JobIdPath,
        query: Annotated[LogQuery, Query()],
    ) -> Response:
        """What a run wrote to its log: live from its pod, afterwards from the archive, in one form.

        `Octo-Log-Source` says which (`pod`, `archive`, or `none`), `Octo-Log-Complete` whether the log has ended and
        nothing of it is missing. With `follow` an answer that ends in order has said all; else the connection is cut.
        """
        since = query.since
        if query.since_seconds is not None:
            young = services.clock() - timedelta(seconds=query.since_seconds)
            since = young if since is None else max(since, young)
        wish = Wish(query.attempt, query.worker, since, query.tail_lines, query.timestamps)
        if query.follow:
            found, lines = await services.job_logs.follow(caller, uid, wish, services.live.begin(caller, again))
            return services.live.answer(lines, media_type=_MEDIA_TYPE, headers=_headers(found))
        found, text = await services.job_logs.read(caller, uid, wish)
        return Response(text.encode(errors="replace"), media_type=_MEDIA_TYPE, headers=_headers(found))


def _headers(found: Found) -> dict[str, str]:
    return {SOURCE_HEADER: found.source.value, COMPLETE_HEADER: "true" if found.complete else "false"}
