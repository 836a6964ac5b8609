"""``/v1/providers``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Response

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.errors import ProviderNotFoundError
from octo_api.etags import IfMatch
from octo_api.jobs.router import ENDED, IdempotencyKey, submit_job
from octo_api.jobs.schemas import Job, ProviderJobRequest
from octo_api.jobs.waiting import Prefer
from octo_api.merge_patch import MEDIA_TYPE as MERGE_PATCH
from octo_api.paging import Cursor, DryRun, Limit, Namespace, ObjectNamePath
from octo_api.providers.documents import new_provider, patched, replaced
from octo_api.providers.schemas import (
    Provider,
    ProviderPage,
    ProviderRequest,
    ProviderUpdate,
    provider_etag,
    provider_of,
)
from octo_api.routing.base import BaseRouter
from octo_core.crd.resources import Raw

Patch = Annotated[
    dict[str, Any],
    Body(media_type=MERGE_PATCH, description="A merge patch (RFC 7396) on `labels` and `spec`; null takes away."),
]


class ProviderRouter(BaseRouter):
    """Where files come from and go to."""

    prefix = "/v1/providers"
    tag = "providers"

    def register_routes(self) -> None:
        read, write = Scope.PROVIDERS_READ, Scope.PROVIDERS_WRITE
        self.add("GET", "", self.get_providers, access=read, action="providers.list", errors=(410,))
        self.add(
            "POST",
            "",
            self.create_provider,
            access=write,
            action="providers.create",
            status=201,
            errors=(409, 413),
        )
        self.add("GET", "/{name}", self.get_provider, access=read, action="providers.get", errors=(404,))
        changing = (404, 412, 413)
        self.add("PUT", "/{name}", self.replace_provider, access=write, action="providers.replace", errors=changing)
        self.add("PATCH", "/{name}", self.patch_provider, access=write, action="providers.patch", errors=changing)
        self.add(
            "DELETE",
            "/{name}",
            self.delete_provider,
            access=write,
            action="providers.delete",
            status=204,
            errors=(404, 412),
        )
        self.add(
            "POST",
            "/{name}/jobs",
            self.create_job,
            access=Scope.JOBS_CREATE,
            action="providers.create_job",
            status=202,
            model=Job,
            errors=(404, 409, 413),
            answers=ENDED,
        )

    async def get_providers(
        self,
        services: ServicesDep,
        caller: CallerDep,
        namespace: Namespace = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> ProviderPage:
        """List the providers of a namespace."""
        namespace = namespace or services.namespace
        caller.require_namespace(namespace)
        of = {"list": "providers", "namespace": namespace}
        after = services.cursors.decode(cursor, of=of)[0] if cursor is not None else ""
        items, following = await services.providers.page(namespace, after=after, limit=limit)
        return ProviderPage(
            items=tuple(map(provider_of, items)),
            next_cursor=services.cursors.encode((following,), of=of) if following else None,
        )

    async def create_provider(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        response: Response,
        body: ProviderRequest,
        dry_run: DryRun = None,
    ) -> Provider:
        """Make a provider. Its secrets stand in Secrets of its namespace, which it names."""
        context.namespace = body.namespace or services.namespace
        context.resource = body.name
        caller.require_namespace(context.namespace)
        made = await services.providers.create(
            context.namespace, new_provider(body, context.namespace), dry_run=dry_run is not None
        )
        elsewhere = f"?namespace={context.namespace}" if context.namespace != services.namespace else ""
        response.headers["Location"] = f"{self.prefix}/{body.name}{elsewhere}"
        return _shown(made, response)

    async def get_provider(
        self,
        services: ServicesDep,
        caller: CallerDep,
        response: Response,
        name: ObjectNamePath,
        namespace: Namespace = None,
    ) -> Provider:
        """One provider, with its conditions. Its `ETag` goes into `If-Match` of a change."""
        namespace = namespace or services.namespace
        if not caller.may_use(namespace):
            raise ProviderNotFoundError(f"there is no provider {name} in namespace {namespace}")
        return _shown(await services.providers.get(namespace, name), response)

    async def replace_provider(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        response: Response,
        name: ObjectNamePath,
        body: ProviderUpdate,
        namespace: Namespace = None,
        if_match: IfMatch = None,
        dry_run: DryRun = None,
    ) -> Provider:
        """Write labels and spec of a provider anew. Runs under way go on with what they began with."""
        context.namespace, context.resource = namespace or services.namespace, name
        caller.require_namespace(context.namespace)
        changed = await services.providers.change(
            context.namespace, name, lambda raw: replaced(raw, body), if_match=if_match, dry_run=dry_run is not None
        )
        return _shown(changed, response)

    async def patch_provider(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        response: Response,
        name: ObjectNamePath,
        body: Patch,
        namespace: Namespace = None,
        if_match: IfMatch = None,
        dry_run: DryRun = None,
    ) -> Provider:
        """Change parts of a provider."""
        context.namespace, context.resource = namespace or services.namespace, name
        caller.require_namespace(context.namespace)
        changed = await services.providers.change(
            context.namespace, name, lambda raw: patched(raw, body), if_match=if_match, dry_run=dry_run is not None
        )
        return _shown(changed, response)

    async def delete_provider(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        name: ObjectNamePath,
        namespace: Namespace = None,
        if_match: IfMatch = None,
    ) -> Response:
        """Delete a provider. Its runs go on to their end, and their history stays."""
        context.namespace, context.resource = namespace or services.namespace, name
        caller.require_namespace(context.namespace)
        await services.providers.delete(context.namespace, name, if_match=if_match)
        return Response(status_code=204)

    async def create_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        name: ObjectNamePath,
        body: ProviderJobRequest | None = None,
        idempotency_key: IdempotencyKey = None,
        prefer: Prefer = None,
        dry_run: DryRun = None,
    ) -> Response:
        """Run this provider once: the same as `POST /v1/jobs` with its name."""
        request = body or ProviderJobRequest()
        return await submit_job(
            services,
            context,
            caller,
            provider=name,
            request=request,
            idempotency_key=idempotency_key,
            prefer=prefer,
            dry_run=dry_run is not None,
        )


def _shown(raw: Raw, response: Response) -> Provider:
    response.headers["ETag"] = provider_etag(raw)
    return provider_of(raw)
