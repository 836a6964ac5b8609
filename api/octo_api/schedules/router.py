"""``/v1/providers/{name}/schedule``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from octo_api.auth.caller import Scope
from octo_api.deps import CallerDep, ContextDep, ServicesDep
from octo_api.errors import InvalidStateError
from octo_api.jobs.router import IdempotencyKey, submit_job
from octo_api.jobs.schemas import Job, ProviderJobRequest
from octo_api.paging import DryRun, Namespace, ObjectNamePath
from octo_api.routing.base import BaseRouter
from octo_api.schedules.schemas import (
    Backfill,
    BackfillRequest,
    ProviderSchedule,
    TriggerRequest,
)
from octo_api.schedules.ticks import coming, ticks_between
from octo_api.services import Services
from octo_core.crd.resources import parse_provider
from octo_core.domain.model import Moment
from octo_core.domain.schedule import Schedule

MAX_COUNT = 100


class ScheduleRouter(BaseRouter):
    """When a provider runs by itself."""

    prefix = "/v1/providers"
    tag = "providers"

    def register_routes(self) -> None:
        path = "/{name}/schedule"
        self.add("GET", path, self.schedule, access=Scope.PROVIDERS_READ, action="providers.schedule", errors=(404,))
        self.add(
            "POST",
            f"{path}:trigger",
            self.trigger,
            access=Scope.JOBS_CREATE,
            action="providers.trigger",
            status=202,
            model=Job,
            errors=(404, 409),
        )
        self.add(
            "POST",
            f"{path}:backfill",
            self.backfill,
            access=Scope.JOBS_CREATE,
            action="providers.backfill",
            status=202,
            errors=(404, 409),
        )

    async def schedule(
        self,
        services: ServicesDep,
        caller: CallerDep,
        name: ObjectNamePath,
        namespace: Namespace = None,
        count: Annotated[int, Query(ge=1, le=MAX_COUNT, description="How many ticks to tell.")] = 5,
        after: Annotated[Moment | None, Query(description="Tell those after this moment. Default: now.")] = None,
    ) -> ProviderSchedule:
        """A provider's schedule, and when it fires next."""
        namespace = namespace or services.namespace
        caller.require_namespace(namespace)
        provider = parse_provider(await services.providers.get(namespace, name))
        return ProviderSchedule(
            schedule=provider.spec.schedule,
            status=provider.status.schedule,
            next_times=tuple(coming(provider.spec.schedule, after=after or services.clock(), count=count)),
        )

    async def trigger(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        name: ObjectNamePath,
        body: TriggerRequest | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Run a provider now as its schedule would. The ticks to come stay as they are."""
        context.namespace = (body and body.namespace) or services.namespace
        caller.require_namespace(context.namespace)
        await _schedule_of(services, context.namespace, name)
        return await submit_job(
            services,
            context,
            caller,
            provider=name,
            request=ProviderJobRequest(namespace=context.namespace),
            idempotency_key=idempotency_key,
            scheduled_time=services.clock(),
        )

    async def backfill(
        self,
        services: ServicesDep,
        context: ContextDep,
        caller: CallerDep,
        name: ObjectNamePath,
        body: BackfillRequest,
        dry_run: DryRun = None,
    ) -> Backfill:
        """Make the runs of all ticks of a span of the past, at most 100, that have none yet.

        A tick has one run however often it is asked for, and whether the schedule itself made it.
        """
        context.namespace, context.resource = body.namespace or services.namespace, name
        caller.require_namespace(context.namespace)
        schedule = await _schedule_of(services, context.namespace, name)
        ticks = ticks_between(schedule, start=body.start, end=body.end, now=services.clock())
        items = await services.schedules.backfill(
            context.namespace, name, ticks, requested_by=caller.subject, dry_run=dry_run is not None
        )
        return Backfill(items=tuple(items))


async def _schedule_of(services: Services, namespace: str, name: str) -> Schedule:
    schedule = parse_provider(await services.providers.get(namespace, name)).spec.schedule
    if schedule is None:
        raise InvalidStateError("The provider has no schedule.")
    return schedule
