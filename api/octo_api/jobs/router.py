"""``/v1/jobs``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query, Response

from octo_api.auth.caller import Caller, Scope
from octo_api.context import RequestContext
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.etags import IfNoneMatch, is_known
from octo_api.jobs.documents import etag_of, job_response, json_response
from octo_api.jobs.listing import FileQuery, JobQuery
from octo_api.jobs.schemas import (
    CancelRequest,
    FilePage,
    Job,
    JobOptions,
    JobPage,
    JobRequest,
)
from octo_api.paging import JobIdPath
from octo_api.routing.base import BaseRouter
from octo_api.services import Services

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
    *,
    provider: str,
    namespace: str | None,
    request: JobOptions,
    idempotency_key: str | None,
) -> Response:
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
    headers = {"Location": f"{JobRouter.prefix}/{created.record.uid}"}
    if created.replayed:
        headers[REPLAYED_HEADER] = "true"
    return job_response(created.record, 202, headers)


class JobRouter(BaseRouter):
    """Runs."""

    prefix = "/v1/jobs"
    tag = "jobs"

    def register_routes(self) -> None:
        self.add("GET", "", self.get_jobs, access=Scope.JOBS_READ, action="jobs.list", model=JobPage)
        self.add(
            "POST",
            "",
            self.create_job,
            access=Scope.JOBS_CREATE,
            action="jobs.create",
            status=202,
            model=Job,
            errors=(404, 409, 413),
        )
        self.add("GET", "/{uid}", self.get_job, access=Scope.JOBS_READ, action="jobs.get", errors=(404,), model=Job)
        self.add(
            "DELETE",
            "/{uid}",
            self.delete_job,
            access=Scope.JOBS_DELETE,
            action="jobs.delete",
            status=202,
            model=Job,
            errors=(404,),
        )
        self.add(
            "GET",
            "/{uid}/files",
            self.files,
            access=Scope.JOBS_READ,
            action="jobs.files",
            errors=(404,),
            model=FilePage,
        )
        self.add(
            "POST",
            "/{uid}:cancel",
            self.cancel_job,
            access=Scope.JOBS_CANCEL,
            action="jobs.cancel",
            status=202,
            model=Job,
            errors=(404, 409, 413),
        )

    async def create_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        body: JobRequest,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Run a provider once. The answer comes when the run is accepted for good, not when it has ended."""
        return await submit_job(
            services,
            context,
            caller,
            provider=body.provider,
            namespace=body.namespace,
            request=body,
            idempotency_key=idempotency_key,
        )

    async def get_jobs(self, services: ServicesDep, caller: CallerDep, query: Annotated[JobQuery, Query()]) -> Response:
        """List runs, live and archived alike, the newest first unless `sort` says otherwise."""
        return json_response(await services.job_lists.runs(caller, query))

    async def get_job(
        self, services: ServicesDep, caller: CallerDep, uid: JobIdPath, if_none_match: IfNoneMatch = None
    ) -> Response:
        """One run, also when its OctoJob is gone."""
        record = await services.jobs.get(caller, uid)
        etag = etag_of(record)
        if is_known(if_none_match, etag):
            return Response(status_code=304, headers={"ETag": etag})
        return job_response(record)

    async def files(
        self, services: ServicesDep, caller: CallerDep, uid: JobIdPath, query: Annotated[FileQuery, Query()]
    ) -> Response:
        """What became of each file of a run, by path."""
        return json_response(await services.job_lists.files(caller, uid, query))

    async def cancel_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        uid: JobIdPath,
        body: CancelRequest | None = None,
    ) -> Response:
        """Ask for the end of a run. Asking again answers the same; Graceful may be raised to Force."""
        context.resource = uid
        record = await services.jobs.cancel(caller, uid, body or CancelRequest())
        context.namespace = record.namespace
        return job_response(record, 202)

    async def delete_job(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, uid: JobIdPath
    ) -> Response:
        """Delete the OctoJob, ending it if it runs. Its history stays."""
        context.resource = uid
        record = await services.jobs.delete(caller, uid)
        context.namespace = record.namespace
        return job_response(record, 202)
