"""One visit to one key: observe, decide, look up what the decision lacks, act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from octo_controller.engine.queue import RetryLaterError
from octo_controller.metrics import Metrics
from octo_controller.reconcile.act import Actor, ChildRefusedError
from octo_controller.reconcile.decide import decide
from octo_controller.reconcile.model import Look, Policy
from octo_controller.reconcile.providers import provider_status
from octo_controller.reconcile.world import Facts, Key, Kind, World
from octo_controller.schedule.visit import Schedules
from octo_core.domain.errors import ConflictError, NotFoundError, OctoError
from octo_core.telemetry import log_context

MAX_LOOKS = 8
"""A decision asks for at most a Job, its pods, and both again if the Job changed meanwhile."""


class Reconciler:
    """The handler of the work queue."""

    def __init__(
        self, world: World, actor: Actor, *, policy: Policy, clock: Callable[[], datetime], metrics: Metrics
    ) -> None:
        self._world = world
        self._actor = actor
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._schedules = Schedules(actor, told=lambda outcome: metrics.ticks.labels(outcome).inc())

    async def visit(self, key: Key) -> float | None:
        """Bring one object on; the seconds until it wants the next visit. Raises RetryLaterError."""
        kind, name = key
        with log_context(job=name), self._metrics.reconcile(kind.value) as done:
            try:
                after = await (self._job(name) if kind is Kind.JOB else self._provider(name))
            except NotFoundError as error:
                done("stale")
                if kind is Kind.JOB and await self._is_gone(name, error):
                    return None
                raise RetryLaterError(error.detail) from error
            except ConflictError as error:
                # Decided on an older version: the watch brings the newer one.
                done("stale")
                raise RetryLaterError(error.detail) from error
            except OctoError as error:
                done("retry")
                raise RetryLaterError(f"{error.code}: {error.detail}") from error
            done("ok")
            return after

    async def _is_gone(self, name: str, error: NotFoundError) -> bool:
        try:
            return await self._actor.confirm_gone(name, error)
        except OctoError:
            return False

    async def _job(self, name: str) -> float | None:
        if name in self._world.unreadable:
            patience = self._policy.patience(self._world.leaving)
            return await self._actor.let_go(name, now=self._clock(), patience=patience)
        facts = Facts()
        for _ in range(MAX_LOOKS):
            # From here to the ledger there is no await: two runs of one key cannot both find it free.
            now = self._clock()
            seen = self._world.observe(name, facts, now=now)
            if seen is None:
                return None
            plan = decide(seen, now=now, policy=self._policy)
            if isinstance(plan, Look):
                wait = self._actor.look_wait(seen.job.meta.uid) if plan.may_wait else 0.0
                facts = replace(facts, look_in=wait) if wait else await self._actor.look(plan, facts)
                continue
            self._world.note(seen, plan)
            try:
                return await self._actor.carry_out(seen, plan)
            except ChildRefusedError as refused:
                facts = replace(facts, refusal=refused.refusal)
                continue
        return 1.0

    async def _provider(self, name: str) -> float | None:
        entry = self._world.providers.get(name)
        if entry is None or entry.provider is None:
            return None
        provider, now = entry.provider, self._clock()
        runs = self._world.runs_of(name)
        after = provider_status(provider, runs, now=now)
        decision = await self._schedules.visit(provider, runs, now=now)
        wait = await self._actor.write_provider(
            name, provider.meta.resource_version, provider.status, decision.written(after)
        )
        return min((each for each in (decision.look_after, wait) if each is not None), default=None)
