"""``/v1/audit``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query

from octo_api.audit.schemas import AuditPage, record_of
from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ServicesDep
from octo_api.paging import Cursor, Limit, Namespace
from octo_api.routing.base import BaseRouter
from octo_core.db.audit import AuditFilter, AuditOutcome
from octo_core.domain.model import Moment

Exact = Annotated[str | None, Query(min_length=1, max_length=255, pattern="^[!-~]+$")]
Bound = Annotated[Moment | None, Query(description="RFC 3339, with a zone.")]


class AuditRouter(BaseRouter):
    """Who did what, and who was refused."""

    prefix = "/v1/audit"
    tag = "audit"

    def register_routes(self) -> None:
        self.add("GET", "", self.get_audit, access=Scope.AUDIT_READ, action="audit.list")

    async def get_audit(
        self,
        services: ServicesDep,
        caller: CallerDep,
        namespace: Namespace = None,
        actor: Exact = None,
        action: Exact = None,
        outcome: AuditOutcome | None = None,
        resource: Exact = None,
        request_id: Annotated[Exact, Query(alias="requestId")] = None,
        since: Bound = None,
        until: Bound = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> AuditPage:
        """Read the audit log, the newest first. What belongs to no namespace is shown to callers for all of them."""
        if namespace is not None:
            caller.require_namespace(namespace)
        wanted = AuditFilter(
            namespaces=(namespace,) if namespace is not None else caller.visible_namespaces(),
            actor=actor,
            action=action,
            outcome=outcome,
            resource=resource,
            request_id=request_id,
            since=since,
            until=until,
        )
        of = {"list": "audit", "filter": wanted}
        after: tuple[datetime, int] | None = None
        if cursor is not None:
            at, last = services.cursors.decode(cursor, of=of)
            after = (datetime.fromisoformat(at), int(last))
        # One more than asked for tells whether there is a next page.
        found = await services.audit.page(wanted, after=after, limit=limit + 1)
        page = found[:limit]
        following = (page[-1][1].at.isoformat(), str(page[-1][0])) if len(found) > limit else None
        return AuditPage(
            items=tuple(record_of(*item) for item in page),
            next_cursor=services.cursors.encode(following, of=of) if following else None,
        )
