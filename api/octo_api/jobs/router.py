"""``/v1/jobs``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Body, Header, Query, Response

from octo_api.auth.caller import Caller, Scope
from octo_api.context import RequestContext
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.etags import IfMatch, IfNoneMatch, is_known
from octo_api.jobs.documents import document_of, etag_of, job_response, json_response
from octo_api.jobs.listing import JobQuery
from octo_api.jobs.manifest import by_schedule, order_of
from octo_api.jobs.many import BulkCancelRequest
from octo_api.jobs.schemas import (
    KEY_PATTERN,
    BatchRequest,
    BatchResponse,
    BulkCancelResponse,
    CancelRequest,
    Job,
    JobPage,
    JobPatch,
    JobRequest,
    ProviderJobRequest,
    RerunRequest,
)
from octo_api.jobs.service import Created
from octo_api.jobs.waiting import Prefer, ended, wait_of
from octo_api.merge_patch import MEDIA_TYPE as MERGE_PATCH
from octo_api.paging import DryRun, JobIdPath
from octo_api.routing.base import BaseRouter, Responses
from octo_api.services import Services
from octo_core.domain.status import State

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=KEY_PATTERN,
        description="Names this request: sent again, it answers with the same run instead of making another.",
    ),
]

ENDED: Responses = {200: {"model": Job, "description": "The run has ended within the wait that was asked for."}}
_KNOWN: Responses = {304: {"description": "The version in `If-None-Match` is still the newest."}}

REPLAYED_HEADER = "Idempotent-Replayed"


async def submit_job(
    services: Services,
    context: RequestContext,
    caller: Caller,
    *,
    provider: str,
    request: ProviderJobRequest,
    idempotency_key: str | None,
    prefer: str | None = None,
    dry_run: bool = False,
    scheduled_time: datetime | None = None,
) -> Response:
    """The one way to make a run, for all routes that do; with ``scheduled_time``, as one of its provider's schedule."""
    context.namespace = request.namespace or services.namespace
    order = order_of(request, provider=provider, namespace=context.namespace, labels=request.labels)
    if scheduled_time is not None:
        order = by_schedule(order, scheduled_time)
    if dry_run:
        return json_response(document_of(await services.jobs.try_out(caller, order)), 202)
    created = await services.jobs.create(caller, order, idempotency_key=idempotency_key)
    return await made(services, context, caller, created, prefer)


async def made(
    services: Services, context: RequestContext, caller: Caller, created: Created, prefer: str | None
) -> Response:
    """The answer that shows a new run, after the wait that was asked for: 200 if it has ended by then, else 202."""
    record = created.record
    context.namespace, context.resource = record.namespace, record.uid
    headers = {"Location": f"{JobRouter.prefix}/{record.uid}"}
    if created.replayed:
        headers[REPLAYED_HEADER] = "true"
    wait = wait_of(prefer, at_most=services.longest_wait)
    if created.recorded is not None:
        context.writes.append(created.recorded)
    if wait is not None:
        await context.written()
        with context.aside(wait) as granted:
            wait = wait if granted else 0
            record = await ended(services.database, caller, record, within=wait)
        headers["Preference-Applied"] = f"wait={wait}"
    over = wait is not None and State(record.state).terminal
    return job_response(record, 200 if over else 202, headers)


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
            answers=ENDED,
        )
        self.add(
            "POST",
            ":batch",
            self.create_jobs,
            access=Scope.JOBS_CREATE,
            action="jobs.batch",
            model=BatchResponse,
            errors=(413,),
        )
        self.add(
            "POST",
            ":cancel",
            self.cancel_jobs,
            action="jobs.cancel_many",
            model=BulkCancelResponse,
            access=Scope.JOBS_CANCEL,
            errors=(404, 409, 413),
        )
        self.add(
            "GET",
            "/{uid}",
            self.get_job,
            access=Scope.JOBS_READ,
            action="jobs.get",
            errors=(404,),
            model=Job,
            answers=_KNOWN,
        )
        self.add(
            "PATCH",
            "/{uid}",
            self.patch_job,
            access=Scope.JOBS_UPDATE,
            action="jobs.patch",
            errors=(404, 409, 412, 413),
            model=Job,
        )
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
            "POST",
            "/{uid}:cancel",
            self.cancel_job,
            action="jobs.cancel",
            status=202,
            model=Job,
            access=Scope.JOBS_CANCEL,
            errors=(404, 409, 413),
        )
        self.add(
            "POST",
            "/{uid}:rerun",
            self.rerun_job,
            access=Scope.JOBS_CREATE,
            action="jobs.rerun",
            status=202,
            model=Job,
            errors=(404, 409, 413),
            answers=ENDED,
        )

    async def create_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        body: JobRequest,
        idempotency_key: IdempotencyKey = None,
        prefer: Prefer = None,
        dry_run: DryRun = None,
    ) -> Response:
        """Run a provider once. The answer comes when the run is accepted for good, or as `Prefer` says."""
        return await submit_job(
            services,
            context,
            caller,
            provider=body.provider,
            request=body,
            idempotency_key=idempotency_key,
            prefer=prefer,
            dry_run=dry_run is not None,
        )

    async def create_jobs(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        body: BatchRequest,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Make up to 1,000 runs. Each has a result of its own, and is as exact as a request of its own."""
        namespaces = {item.namespace or services.namespace for item in body.items}
        context.namespace = namespaces.pop() if len(namespaces) == 1 else None
        context.details["items"] = len(body.items)
        answer = await services.many_jobs.create(caller, body.items, idempotency_key=idempotency_key)
        context.details["jobs"] = [item["job"]["id"] for item in answer["items"] if item["job"] is not None]
        return json_response(answer)

    async def cancel_jobs(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        body: BulkCancelRequest,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """End all runs that match and have not ended, if they are exactly as many as `expectedCount`; else none."""
        visible = caller.visible_namespaces() or ()
        context.namespace = body.filter.namespace or (visible[0] if len(visible) == 1 else None)
        context.details |= body.model_dump(mode="json", by_alias=True, exclude_unset=True)
        answer = await services.many_jobs.cancel(caller, body, idempotency_key=idempotency_key)
        context.details["jobs"] = [item["id"] for item in answer["items"] if item["status"] < 300]
        return json_response(answer)

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

    async def patch_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        uid: JobIdPath,
        body: Annotated[JobPatch, Body(media_type=MERGE_PATCH)],
        if_match: IfMatch = None,
    ) -> Response:
        """Hold a run or let it go on, change its priority, or its labels."""
        context.resource = uid
        record = await services.job_changes.patch(caller, uid, body, if_match=if_match)
        context.namespace = record.namespace
        return job_response(record)

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
        record = await services.job_changes.cancel(caller, uid, body or CancelRequest())
        context.namespace = record.namespace
        return job_response(record, 202)

    async def rerun_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        uid: JobIdPath,
        body: RerunRequest | None = None,
        idempotency_key: IdempotencyKey = None,
        prefer: Prefer = None,
    ) -> Response:
        """Make a run that repeats one that has ended: all of it, or only the files that failed."""
        context.resource = uid
        mode = (body or RerunRequest()).mode
        created = await services.jobs.rerun(caller, uid, mode, idempotency_key=idempotency_key)
        return await made(services, context, caller, created, prefer)

    async def delete_job(
        self, services: ServicesDep, context: ContextDep, caller: CallerDep, uid: JobIdPath
    ) -> Response:
        """Delete the OctoJob, ending it if it runs. Its history stays."""
        context.resource = uid
        record = await services.job_changes.delete(caller, uid)
        context.namespace = record.namespace
        return job_response(record, 202)
