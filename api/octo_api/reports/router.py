"""``/v1/reports``: for the pods of runs, with their own ServiceAccount token."""

from __future__ import annotations

from fastapi import Response

from octo_api.deps import ContextDep, ServicesDep, WorkerTokenDep
from octo_api.paging import JobIdPath
from octo_api.routing.base import Access, BaseRouter
from octo_core.domain.report import Report


class ReportRouter(BaseRouter):
    """What running workers say."""

    prefix = "/v1/reports"
    tag = "reports"

    def register_routes(self) -> None:
        # Not audited when it succeeds: it changes nothing but what the run itself is the source of.
        self.add(
            "POST",
            "/{uid}",
            self.report,
            access=Access.PUBLIC,
            action="reports.create",
            status=204,
            errors=(401, 403, 413),
            mutates=False,
        )

    async def report(
        self, services: ServicesDep, context: ContextDep, uid: JobIdPath, token: WorkerTokenDep, body: Report
    ) -> Response:
        """Take files and progress of the run whose pod holds the token."""
        context.resource = uid
        reporter = await services.report_authorizer.authorize(
            token, job_uid=uid, attempt=body.attempt, shard=body.shard, client=context.client
        )
        context.actor = f"job/{reporter.job_name}"
        context.namespace = reporter.namespace
        await services.reports.take(reporter, body)
        done = {file.refetch for file in body.files if file.refetch is not None}
        if done:
            await services.ledger.forget(reporter.namespace, reporter.provider, done)
        return Response(status_code=204)
