"""Carries out what was decided of a schedule: makes the OctoJob of a tick, and cancels those that give way to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from octo_controller.reconcile.act import Actor
from octo_controller.schedule.decide import Decision, decide_schedule
from octo_core.crd.resources import OctoJob, OctoProvider
from octo_core.crd.scheduled import scheduled_job
from octo_core.domain.names import scheduled_job_name

SCHEDULER = "octo-controller/schedule"
"""``spec.requestedBy`` of a run that a schedule made."""

logger = logging.getLogger(__name__)


class Schedules:
    """The schedules of all providers. ``told`` is called with the outcome of each tick: Fired, Busy or TooLate."""

    def __init__(self, actor: Actor, *, told: Callable[[str], None]) -> None:
        self._actor = actor
        self._told = told

    async def visit(self, provider: OctoProvider, runs: Iterable[OctoJob], *, now: datetime) -> Decision:
        """Fire if it is time to; what is decided is to be written into the provider's status then.

        Raises what the API server answers. Whoever comes back after that, or after a crash before the status was
        written, meets the OctoJob by its name.
        """
        decision = decide_schedule(provider, runs, now=now)
        if decision.skipped is not None:
            logger.info("the tick of %s makes no run: %s", decision.skipped.scheduled_time, decision.skipped.message)
            self._told(decision.skipped.reason.value)
        if decision.fires is not None:
            name = scheduled_job_name(provider.meta.name, decision.fires)
            for run in decision.replaces:
                await self._actor.replace(run.meta.name, run.meta.resource_version, by=name, at=decision.fires)
            await self._actor.submit(
                scheduled_job(provider.meta.namespace, provider.meta.name, decision.fires, requested_by=SCHEDULER)
            )
            self._told("Fired")
        return decision
