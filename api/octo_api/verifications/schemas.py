"""Documents of verifications."""

from __future__ import annotations

from pydantic import Field

from octo_api.jobs.schemas import DNS_LABEL, JobOptions
from octo_core.domain.job import Concurrency, ConcurrencyPolicy, JobMode, RetryPolicy, Ttl
from octo_core.domain.model import Model
from octo_core.domain.report import Check
from octo_core.domain.status import State

PENDING_SECONDS, ACTIVE_SECONDS, KEPT_SECONDS = 300, 300, 3600
"""Deadlines of a verification: somebody waits for it. And how long its OctoJob stays."""


class VerifyRequest(Model):
    """Body of ``POST /v1/providers/{name}:verify``."""

    namespace: str | None = Field(
        default=None, min_length=1, max_length=63, pattern=DNS_LABEL, description="Default: the installation's own."
    )


class VerifyOptions(JobOptions):
    """What is asked of the run that verifies."""

    mode: JobMode


class Verification(Model):
    """What a verification has found so far; whole once its state is terminal."""

    job_id: str = Field(description="`id` of the run.")
    state: State = Field(description="Of the run. Succeeded: no step failed.")
    finished: bool = Field(description="Whether there is nothing more to come.")
    message: str | None = Field(description="Why it failed, if it did.")
    checks: tuple[Check, ...]


def verify_options(provider: str) -> VerifyOptions:
    """A short run beside all others: it neither waits for a fetching run nor holds one up."""
    return VerifyOptions(
        mode=JobMode.VERIFY,
        concurrency=Concurrency(key=f"verify/{provider}", policy=ConcurrencyPolicy.ALLOW),
        retry_policy=RetryPolicy(max_attempts=1),
        pending_deadline_seconds=PENDING_SECONDS,
        active_deadline_seconds=ACTIVE_SECONDS,
        ttl=Ttl(after_success_seconds=KEPT_SECONDS, after_failure_seconds=KEPT_SECONDS),
    )
