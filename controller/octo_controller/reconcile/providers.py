"""What an OctoProvider's status says of its runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from octo_controller.reconcile.draft import clip
from octo_core.crd.resources import OctoJob, OctoProvider
from octo_core.domain.failure import Category
from octo_core.domain.job import JobMode
from octo_core.domain.provider import OctoProviderStatus
from octo_core.domain.status import Condition, ConditionStatus, State

READY = "Ready"
TELLING = (Category.AUTH, Category.HOST_KEY, Category.CONFIG, Category.DECRYPT)
"""Failures that say something of the provider, rather than of one file, one node or one bad day."""
_OF_THE_RUN = ("ForbiddenByConcurrency", "ProviderNotFound")


def provider_status(provider: OctoProvider, jobs: Iterable[OctoJob], *, now: datetime) -> OctoProviderStatus:
    """The status after the runs that are still in the cluster. Pure; the same again if nothing ended since."""
    now = now.replace(microsecond=0)
    old = provider.status
    since = old.last_success_time
    ended = [
        (job.status.completion_time, job)
        for job in jobs
        if job.spec.mode is JobMode.RUN
        and job.status.state in (State.SUCCEEDED, State.FAILED)
        and job.status.completion_time is not None
        and (since is None or job.status.completion_time > since)
        and not (job.status.failure and job.status.failure.reason in _OF_THE_RUN)
    ]
    known = next((condition for condition in old.conditions if condition.type == READY), None)
    status, reason, message = ConditionStatus.UNKNOWN, "NotRunYet", ""
    if known is not None:
        status, reason, message = known.status, known.reason, known.message
    last_success, last_job = old.last_success_time, old.last_job
    for ended_at, job in sorted(ended, key=lambda pair: (pair[0], pair[1].meta.uid)):
        last_job = job.meta.name
        failure = job.status.failure
        if job.status.state is State.SUCCEEDED:
            last_success = ended_at
            status, reason, message = ConditionStatus.TRUE, "LastRunSucceeded", ""
        elif failure is not None and failure.category in TELLING:
            status, reason, message = ConditionStatus.FALSE, failure.category.value, clip(failure.message)
    generation = provider.meta.generation
    ready = Condition(
        type=READY,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=known.last_transition_time if known and known.status is status else now,
        observed_generation=generation,
    )
    others = tuple(condition for condition in old.conditions if condition.type != READY)
    return old.model_copy(
        update={
            "observed_generation": generation,
            "conditions": (*others, ready),
            "last_success_time": last_success,
            "last_job": last_job,
        }
    )
