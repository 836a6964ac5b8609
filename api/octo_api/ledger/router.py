"""``/v1/providers/{name}/ledger``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.jobs.router import IdempotencyKey
from octo_api.ledger.schemas import LedgerEntry, LedgerPage, Reset, ResetRequest, ResetResult
from octo_api.paging import Cursor, Limit, Namespace, ObjectNamePath
from octo_api.routing.base import BaseRouter
from octo_core.db.ledger import LedgerFilter
from octo_core.domain.errors import InvalidError
from octo_core.domain.model import Moment
from octo_core.domain.text import has_nul

PathPrefix = Annotated[
    str | None,
    Query(alias="pathPrefix", min_length=1, max_length=1024, pattern=r"^[^\x00]*$", description="How the path begins."),
]
JobId = Annotated[
    str | None, Query(alias="jobId", max_length=64, pattern="^[A-Za-z0-9-]+$", description="Stored by this run.")
]


class LedgerRouter(BaseRouter):
    """What was fetched of a provider."""

    prefix = "/v1/providers"
    tag = "providers"

    def register_routes(self) -> None:
        self.add("GET", "/{name}/ledger", self.ledger, access=Scope.PROVIDERS_READ, action="providers.ledger")
        self.add(
            "POST",
            "/{name}/ledger:reset",
            self.reset,
            access=Scope.PROVIDERS_WRITE,
            action="providers.reset_ledger",
            errors=(404,),
        )

    async def ledger(
        self,
        services: ServicesDep,
        caller: CallerDep,
        name: ObjectNamePath,
        namespace: Namespace = None,
        path_prefix: PathPrefix = None,
        stored_after: Annotated[Moment | None, Query(alias="storedAfter", description="At or after.")] = None,
        stored_before: Annotated[Moment | None, Query(alias="storedBefore", description="Before.")] = None,
        job_id: JobId = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> LedgerPage:
        """What is stored of the provider's files, by path, as its runs have reported it.

        The ledger tells and does not decide: whether a file is new, a run sees by what is in the bucket.
        """
        namespace = namespace or services.namespace
        caller.require_namespace(namespace)
        wanted = LedgerFilter(path_prefix, stored_after, stored_before, job_id)
        of = {"list": "ledger", "namespace": namespace, "provider": name, "filter": wanted}
        after: tuple[str, str] | None = None
        if cursor is not None:
            path, member = services.cursors.decode(cursor, of=of)
            after = (path, member)
        rows = await services.ledger.page(namespace, name, wanted, after=after, limit=limit + 1)
        page = rows[:limit]
        last = (page[-1]["source_path"], page[-1]["member"]) if len(rows) > limit else None
        return LedgerPage(
            items=tuple(LedgerEntry.model_validate(row) for row in page),
            next_cursor=services.cursors.encode(last, of=of) if last else None,
        )

    async def reset(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        name: ObjectNamePath,
        body: ResetRequest,
        idempotency_key: IdempotencyKey = None,
    ) -> ResetResult:
        """Have files fetched again, once, by the next run that begins, whatever the selection policy says.

        The objects are replaced when their successors have been verified. Sent again with its Idempotency-Key, a
        reset that was carried out stays so.
        """
        context.namespace, context.resource = body.namespace or services.namespace, name
        context.details["paths"] = "\n".join(body.paths)
        if body.reason is not None:
            context.details["reason"] = body.reason
        caller.require_namespace(context.namespace)
        if has_nul(list(body.paths)) or has_nul(body.reason):
            raise InvalidError("text may not contain the NUL character")
        ids, known = await services.ledger.reset(
            context.namespace, name, body.paths, tenant=caller.subject, idempotency_key=idempotency_key
        )
        return ResetResult(
            items=tuple(
                Reset(source_path=path, id=ids[path], known=path in known) for path in dict.fromkeys(body.paths)
            )
        )
