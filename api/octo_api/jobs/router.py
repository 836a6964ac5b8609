"""``/v1/jobs``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Header, Query, Response

from octo_api.auth.caller import Caller, Scope
from octo_api.context import RequestContext
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.jobs.schemas import (
    CancelRequest,
    FilePage,
    Job,
    JobFile,
    JobOptions,
    JobPage,
    JobRequest,
    job_of,
)
from octo_api.paging import Cursor, JobIdPath, Limit, Namespace, ObjectNameQuery
from octo_api.routing.base import BaseRouter
from octo_api.services import Services
from octo_core.db.job_reads import JobFilter
from octo_core.domain.failure import Category
from octo_core.domain.report import FileOutcome
from octo_core.domain.status import State

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="Names this request: sent again, it answers with the same run instead of making another.",
    ),
]

REPLAYED_HEADER = "Idempotent-Replayed"


async def submit_job(
    services: Services,
    context: RequestContext,
    caller: Caller,
    response: Response,
    *,
    provider: str,
    namespace: str | None,
    request: JobOptions,
    idempotency_key: str | None,
) -> Job:
    """The one way to make a run, for both routes that do."""
    context.namespace = namespace or services.namespace
    created = await services.jobs.create(
        caller,
        provider=provider,
        namespace=context.namespace,
        request=request,
        idempotency_key=idempotency_key,
    )
    context.resource = created.record.uid
    response.headers["Location"] = f"{JobRouter.prefix}/{created.record.uid}"
    if created.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return job_of(created.record)


class JobRouter(BaseRouter):
    """Runs."""

    prefix = "/v1/jobs"
    tag = "jobs"

    def register_routes(self) -> None:
        self.add("GET", "", self.get_jobs, access=Scope.JOBS_READ, action="jobs.list")
        self.add(
            "POST",
            "",
            self.create_job,
            access=Scope.JOBS_CREATE,
            action="jobs.create",
            status=202,
            errors=(404, 409, 413),
        )
        self.add("GET", "/{uid}", self.get_job, access=Scope.JOBS_READ, action="jobs.get", errors=(404,))
        self.add(
            "DELETE",
            "/{uid}",
            self.delete_job,
            access=Scope.JOBS_DELETE,
            action="jobs.delete",
            status=202,
            errors=(404,),
        )
        self.add("GET", "/{uid}/files", self.files, access=Scope.JOBS_READ, action="jobs.files", errors=(404,))
        self.add(
            "POST",
            "/{uid}:cancel",
            self.cancel_job,
            access=Scope.JOBS_CANCEL,
            action="jobs.cancel",
            status=202,
            errors=(404, 409, 413),
        )

    async def create_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        response: Response,
        body: JobRequest,
        idempotency_key: IdempotencyKey = None,
    ) -> Job:
        """Run a provider once. The answer comes when the run is accepted for good, not when it has ended."""
        return await submit_job(
            services,
            context,
            caller,
            response,
            provider=body.provider,
            namespace=body.namespace,
            request=body,
            idempotency_key=idempotency_key,
        )

    async def get_jobs(
        self,
        services: ServicesDep,
        caller: CallerDep,
        namespace: Namespace = None,
        provider: ObjectNameQuery = None,
        state: State | None = None,
        failure_category: Annotated[Category | None, Query(alias="failureCategory")] = None,
        name: ObjectNameQuery = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> JobPage:
        """List runs, the newest first, live and archived alike."""
        if namespace is not None:
            caller.require_namespace(namespace)
        wanted = JobFilter(
            namespaces=(namespace,) if namespace is not None else caller.visible_namespaces(),
            provider=provider,
            state=state,
            failure_category=failure_category,
            name=name,
        )
        of = {"list": "jobs", "filter": wanted}
        after: tuple[datetime, str] | None = None
        if cursor is not None:
            created_at, uid = services.cursors.decode(cursor, of=of)
            after = (datetime.fromisoformat(created_at), uid)
        # One more than asked for tells whether there is a next page.
        records = await services.jobs.page(wanted, after=after, limit=limit + 1)
        page = records[:limit]
        more = len(records) > limit
        next_cursor = services.cursors.encode((page[-1].created_at.isoformat(), page[-1].uid), of=of) if more else None
        return JobPage(items=tuple(map(job_of, page)), next_cursor=next_cursor)

    async def get_job(self, services: ServicesDep, caller: CallerDep, uid: JobIdPath) -> Job:
        """One run, also when its OctoJob is gone."""
        return job_of(await services.jobs.get(caller, uid))

    async def files(
        self,
        services: ServicesDep,
        caller: CallerDep,
        uid: JobIdPath,
        outcome: FileOutcome | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> FilePage:
        """What became of each file of a run, by path."""
        of = {"list": "files", "job": uid, "outcome": outcome}
        after: tuple[str, str] | None = None
        if cursor is not None:
            path, member = services.cursors.decode(cursor, of=of)
            after = (path, member)
        rows = await services.jobs.files(caller, uid, outcome=outcome, after=after, limit=limit + 1)
        page = rows[:limit]
        more = len(rows) > limit
        next_cursor = services.cursors.encode((page[-1]["source_path"], page[-1]["member"]), of=of) if more else None
        return FilePage(items=tuple(JobFile.model_validate(row) for row in page), next_cursor=next_cursor)

    async def cancel_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        uid: JobIdPath,
        body: CancelRequest | None = None,
    ) -> Job:
        """Ask for the end of a run. Asking again answers the same; Graceful may be raised to Force."""
        context.resource = uid
        record = await services.jobs.cancel(caller, uid, body or CancelRequest())
        context.namespace = record.namespace
        return job_of(record)

    async def delete_job(self, services: ServicesDep, context: ContextDep, caller: CallerDep, uid: JobIdPath) -> Job:
        """Delete the OctoJob, ending it if it runs. Its history stays."""
        context.resource = uid
        record = await services.jobs.delete(caller, uid)
        context.namespace = record.namespace
        return job_of(record)
