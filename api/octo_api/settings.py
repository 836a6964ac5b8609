"""Settings of the api process and of its commands."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from octo_api.console.settings import ConsoleSettings
from octo_api.jobs.waiting import MAX_WAIT_SECONDS
from octo_api.limits.settings import LimitSettings
from octo_api.webhooks.settings import WebhookSettings
from octo_core.settings import ClusterSettings


class ApiSettings(ClusterSettings, ConsoleSettings, LimitSettings, WebhookSettings):
    """Of `octo-api serve`."""

    listen_host: str = "0.0.0.0"  # noqa: S104 - a pod serves its own network
    listen_port: int = Field(default=8080, ge=1, le=65535)
    drain_seconds: float = Field(
        default=0, ge=0, description="How long it goes on serving, not ready, when told to end; for load balancers."
    )
    shutdown_grace_seconds: int = Field(default=20, ge=0, description="For requests under way after that.")
    audit_retention_days: int = Field(default=400, ge=31, description="Age at which audit rows are deleted.")
    audit_repair_after_seconds: float = Field(
        default=300.0,
        gt=0,
        description="Age at which a request without an audit row counts as cut off by a crash.",
    )
    # More than the hour that repairs allow a claim, see jobs.submission.
    idempotency_ttl_seconds: int = Field(default=7 * 86_400, ge=7200)
    sweep_after_seconds: float = Field(
        default=30.0, gt=0, description="Age at which a claim without an OctoJob counts as left behind by a crash."
    )
    sweep_interval_seconds: float = Field(default=10.0, gt=0)
    log_archive_interval_seconds: float = Field(
        default=5.0, gt=0, description="How often pods that ended are looked for, to keep their logs."
    )
    log_retention_days: int = Field(default=30, ge=1, description="How long the logs of runs are kept.")
    event_retention_seconds: int = Field(
        default=7 * 86_400, ge=3600, description="How far back `/v1/events` can be read and resumed."
    )
    event_heartbeat_seconds: float = Field(
        default=15.0, gt=0, le=25, description="A quiet stream says so, and checks its credential, this often."
    )
    max_event_streams: int = Field(default=4000, ge=0, description="Streams of events that one process holds.")
    max_live_answers: int = Field(
        default=500, ge=0, description="Logs that are followed, and verifications, at a time in one process."
    )
    progress_interval_seconds: float = Field(
        default=10.0, ge=0, description="Progress is written to an OctoJob at most this often."
    )

    @model_validator(mode="after")
    def _repair_only_what_is_over(self) -> Self:
        if self.audit_repair_after_seconds < self.request_timeout_seconds:
            raise ValueError("audit_repair_after_seconds is below request_timeout_seconds: requests would be under way")
        return self

    @property
    def longest_wait_seconds(self) -> int:
        """Seconds that a request may wait for a run's end, beside the time that it has for itself: no longer than until
        it would count as cut off."""
        return min(MAX_WAIT_SECONDS, int(self.audit_repair_after_seconds - self.request_timeout_seconds))

    @property
    def webhook_signing_keys(self) -> tuple[str, ...]:
        """The present key first: new secrets come of it, and all sign. Without one, the peppers, as in Octo 0.1."""
        if self.webhook_signing_key is None:
            return self.peppers
        given = (self.webhook_signing_key, self.webhook_signing_key_previous)
        return tuple(key.get_secret_value() for key in given if key is not None)

    @property
    def event_retention(self) -> timedelta:
        """How far back the order of events is kept."""
        return timedelta(seconds=self.event_retention_seconds)

    @property
    def idempotency_ttl(self) -> timedelta:
        """How long an Idempotency-Key is remembered."""
        return timedelta(seconds=self.idempotency_ttl_seconds)
