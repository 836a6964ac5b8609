"""``/v1/providers``."""

from __future__ import annotations

from fastapi import Response

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.errors import ProviderNotFoundError
from octo_api.jobs.router import IdempotencyKey, submit_job
from octo_api.jobs.schemas import Job, ProviderJobRequest
from octo_api.paging import Cursor, Limit, Namespace, ObjectNamePath
from octo_api.providers.schemas import Provider, ProviderPage, provider_of
from octo_api.routing.base import BaseRouter


class ProviderRouter(BaseRouter):
    """Where files come from and go to."""

    prefix = "/v1/providers"
    tag = "providers"

    def register_routes(self) -> None:
        self.add("GET", "", self.get_providers, access=Scope.PROVIDERS_READ, action="providers.list", errors=(410,))
        self.add(
            "GET", "/{name}", self.get_provider, access=Scope.PROVIDERS_READ, action="providers.get", errors=(404,)
        )
        self.add(
            "POST",
            "/{name}/jobs",
            self.create_job,
            access=Scope.JOBS_CREATE,
            action="providers.create_job",
            status=202,
            errors=(404, 409, 413),
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

    async def get_provider(
        self, services: ServicesDep, caller: CallerDep, name: ObjectNamePath, namespace: Namespace = None
    ) -> Provider:
        """One provider, with its conditions."""
        namespace = namespace or services.namespace
        if not caller.may_use(namespace):
            raise ProviderNotFoundError(f"there is no provider {name} in namespace {namespace}")
        return provider_of(await services.providers.get(namespace, name))

    async def create_job(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        response: Response,
        name: ObjectNamePath,
        body: ProviderJobRequest | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Job:
        """Run this provider once: the same as `POST /v1/jobs` with its name."""
        request = body or ProviderJobRequest()
        return await submit_job(
            services,
            context,
            caller,
            response,
            provider=name,
            namespace=request.namespace,
            request=request,
            idempotency_key=idempotency_key,
        )
