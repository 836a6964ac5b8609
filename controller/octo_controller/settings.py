"""Settings of the controller: ``OCTO_<FIELD>`` in the environment, see ``octo_core.settings``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from octo_controller.engine.lease import LeaseTimes
from octo_core.domain.partitions import MAX_SHARDS, Share
from octo_core.settings import ClusterSettings, DatabaseSettings


class ControllerSettings(ClusterSettings, DatabaseSettings):
    """Read once, at start, and passed down."""

    worker_image: str = Field(description="Image of the built-in main logic.")
    worker_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    worker_service_account: str = Field(
        default="octo-worker", description="ServiceAccount of the pods of runs; it needs no rights."
    )
    report_url: str | None = Field(
        default=None, description="Base URL of the api as pods reach it; without it runs do not report on the way."
    )
    health_host: str = "0.0.0.0"  # noqa: S104 - the kubelet asks from outside the pod
    health_port: int = Field(default=8081, ge=0, le=65535, description="0 takes any free port.")
    reconcile_workers: int = Field(
        default=64, ge=1, le=256, description="How many OctoJobs and OctoProviders are worked on at once."
    )
    resync_interval_seconds: float = Field(default=600.0, gt=0)
    max_active_runs: int = Field(
        default=0, ge=0, description="How many runs may be active at once, whatever their keys; 0 is any number."
    )
    cancel_force_after_seconds: int = Field(
        default=30, ge=0, description="Past a pod's own grace period, until a cancelled run's pod is killed."
    )
    archive_fail_open_seconds: int = Field(
        default=600, ge=0, description="How long a deleted OctoJob that is over waits for Postgres."
    )
    archive_after_seconds: float = Field(
        default=60.0, ge=0, description="How long an archived OctoJob is kept in view after it is over."
    )
    stalled_after_seconds: int = Field(default=600, ge=1, description="Without progress until a run counts as stalled.")
    watch_silence_seconds: float = Field(
        default=1500.0, gt=0, description="Without any event, bookmark or successful resync until /livez fails."
    )
    queue_stuck_seconds: float = Field(default=300.0, gt=0, description="Age of the oldest key until /livez fails.")
    watch_behind_seconds: float = Field(
        default=240.0, gt=0, description="That a watch may keep a known change to itself until /livez fails."
    )
    identity: str = Field(
        default="",
        max_length=512,
        description="Holder of the Lease: unique to the pod. Empty makes one of the host's name and a random id.",
    )
    shard_index: int = Field(default=0, ge=0, description="Which of shard_count controllers this is, from 0.")
    shard_count: int = Field(
        default=1, ge=1, le=MAX_SHARDS, description="Controllers that share the namespace, each with its replicas."
    )
    lease_name: str = Field(default="octo-controller", description="The same for all shards and replicas.")
    lease_duration_seconds: float = Field(
        default=15.0, ge=1, description="Without a sign of life until a standby takes over."
    )
    lease_renew_seconds: float = Field(
        default=10.0, gt=0, description="Without a renewal until the leader ends; well below the duration."
    )
    lease_retry_seconds: float = Field(default=2.0, gt=0, description="Between attempts to renew or to take over.")
    loop_blocked_seconds: int = Field(default=60, ge=5, description="Until a process with a blocked loop is ended.")
    drain_seconds: float = Field(default=20.0, ge=0, description="For work under way, at a clean stop.")

    @property
    def share(self) -> Share:
        """The part of the namespace that this controller decides."""
        return Share(self.shard_index, self.shard_count)

    @property
    def lease_times(self) -> LeaseTimes:
        """How the Lease is kept."""
        return LeaseTimes(
            duration=self.lease_duration_seconds,
            renew_within=self.lease_renew_seconds,
            retry=self.lease_retry_seconds,
        )

    @model_validator(mode="after")
    def _lease_times_leave_room(self) -> Self:
        _ = self.lease_times
        return self

    @model_validator(mode="after")
    def _shards_have_a_part(self) -> Self:
        _ = self.share
        if 0 < self.max_active_runs < self.shard_count:
            raise ValueError("max_active_runs is divided among the shards, so it has to be at least shard_count")
        return self
