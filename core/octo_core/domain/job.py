"""OctoJob: one run of a provider."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from octo_core.domain.failure import RETRYABLE_BY_DEFAULT, Category
from octo_core.domain.model import Model, Time
from octo_core.domain.schedule import ScheduleRef
from octo_core.domain.selection import OverwritePolicy, SelectionPolicy


class ConcurrencyPolicy(StrEnum):
    """What a run does when its key is busy: go ahead, fail, end the others, or wait its turn."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"
    ENQUEUE = "Enqueue"


class OnFileError(StrEnum):
    """How a run ends in which a file failed. Either way the other files are done first."""

    FAIL_JOB = "FailJob"
    SKIP_FILE = "SkipFile"


class JobMode(StrEnum):
    """Run does what the provider says. Verify moves nothing: it tries each step of a run, from secrets to bucket."""

    RUN = "Run"
    VERIFY = "Verify"


class CancelMode(StrEnum):
    """Graceful gives the worker its grace period; Force ends the pod at once."""

    GRACEFUL = "Graceful"
    FORCE = "Force"


class Concurrency(Model):
    """How many runs may be active at once, and what one does that is not."""

    key: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Runs with the same key share; default: the provider.",
    )
    policy: ConcurrencyPolicy = ConcurrencyPolicy.ENQUEUE
    max: int = Field(default=1, ge=1, le=1000)


class RetryPolicy(Model):
    """The one place where retries are decided; the child Jobs have `backoffLimit: 0`."""

    max_attempts: int = Field(default=3, ge=1, le=20)
    backoff_seconds: int = Field(default=30, ge=0, le=86_400)
    backoff_factor: int = Field(default=2, ge=1, le=10)
    max_backoff_seconds: int = Field(default=1800, ge=0, le=86_400)
    retry_on: tuple[Category, ...] = Field(default=RETRYABLE_BY_DEFAULT, max_length=16)


class Ttl(Model):
    """How long a finished OctoJob stays in the cluster; its history stays in Postgres."""

    after_success_seconds: int = Field(default=86_400, ge=0)
    after_failure_seconds: int = Field(default=604_800, ge=0)


class Transfer(Model):
    """How files are moved."""

    on_file_error: OnFileError = OnFileError.FAIL_JOB
    concurrent_files: int = Field(default=4, ge=1, le=64, description="Files in flight at once in one worker.")
    parallelism: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Workers that share one run, as an Indexed Job; each takes the files whose path hashes to it.",
    )
    overwrite: OverwritePolicy | None = Field(
        default=None,
        description="Default: Never for policy NewOnly, IfChanged for ChangedOrNew and Explicit, Always for All.",
    )
    max_attempts_per_file: int = Field(
        default=3, ge=1, le=10, description="Tries of one file within an attempt, when a connection breaks."
    )


class RunOptions(Model):
    """What can be said of a run on the OctoJob, or for all of a provider's in its ``jobDefaults``.

    A field left out on the OctoJob is taken from the provider, then from these models' defaults.
    """

    priority: int | None = Field(default=None, ge=-1000, le=1000, description="Higher goes first. Default 0.")
    concurrency: Concurrency | None = None
    queue_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="A LocalQueue of Kueue: each attempt waits there until Kueue lets it go.",
    )
    retry_policy: RetryPolicy | None = None
    pending_deadline_seconds: int | None = Field(
        default=None, ge=1, description="From the Job's creation until its pod runs. Default 900."
    )
    active_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        description="For the run with all its attempts, from the start of the first. Default 86400.",
    )
    attempt_deadline_seconds: int | None = Field(
        default=None, ge=1, description="For one attempt, from its start. Default 21600."
    )
    termination_grace_period_seconds: int | None = Field(
        default=None, ge=0, le=3600, description="What a cancelled worker has to end cleanly. Default 60."
    )
    ttl: Ttl | None = None
    transfer: Transfer | None = None


class ProviderRef(Model):
    """The OctoProvider, in the same namespace."""

    name: str = Field(min_length=1, max_length=63)


class JobSelection(Model):
    """Narrows or replaces the provider's choice of files, for this run."""

    paths: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] | None = Field(
        default=None, min_length=1, max_length=64
    )
    include: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] | None = Field(default=None, max_length=64)
    exclude: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] | None = Field(default=None, max_length=64)
    policy: SelectionPolicy | None = None
    min_age_seconds: int | None = Field(default=None, ge=0, le=86_400)
    stability_seconds: int | None = Field(default=None, ge=0, le=300)
    files: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] = Field(
        default=(), max_length=200, description="For policy Explicit: the paths of the files, as they are listed."
    )
    modified_after: Time | None = Field(default=None, description="Take only files modified at this time or later.")
    modified_before: Time | None = Field(default=None, description="Take only files modified before this time.")
    max_files: int | None = Field(default=None, ge=1)
    max_bytes: int | None = Field(default=None, ge=1)
    dry_run: bool = Field(default=False, description="List and select, move nothing.")

    @model_validator(mode="after")
    def _files_are_explicit(self) -> JobSelection:
        if bool(self.files) != (self.policy is SelectionPolicy.EXPLICIT):
            raise ValueError("selection.files goes with policy Explicit, and only with it")
        return self


class Cancel(Model):
    """A request to end the run. It cannot be withdrawn; its mode may go from Graceful to Force."""

    requested_at: Time
    requested_by: str | None = Field(default=None, max_length=253)
    reason: str | None = Field(default=None, max_length=1024)
    mode: CancelMode = CancelMode.GRACEFUL


class Idempotency(Model):
    """Set by the api: which Idempotency-Key and which body this run stands for."""

    key_hash: str = Field(min_length=64, max_length=64, description="SHA-256 of tenant and key, hex.")
    fingerprint: str = Field(min_length=64, max_length=64, description="SHA-256 of the canonical request, hex.")


class RerunOf(Model):
    """The finished run that this one repeats."""

    name: str = Field(min_length=1, max_length=63)
    uid: str = Field(min_length=1, max_length=64)


class OctoJobSpec(RunOptions):
    """One run. What defines it is immutable; suspend, priority and cancel are not."""

    provider_ref: ProviderRef
    mode: JobMode = JobMode.RUN
    parameters: dict[Annotated[str, Field(min_length=1, max_length=63)], Annotated[str, Field(max_length=4096)]] = (
        Field(default_factory=dict, max_length=64, description="Passed to the main logic as they are.")
    )
    selection: JobSelection = JobSelection()
    suspend: bool = Field(default=False, description="Hold the run; a running one's pod is ended and made again.")
    start_after: Time | None = None
    cancel: Cancel | None = None
    idempotency: Idempotency | None = None
    requested_by: str | None = Field(default=None, max_length=253, description="Who asked, as the api knows them.")
    rerun_of: RerunOf | None = None
    schedule_ref: ScheduleRef | None = Field(default=None, description="Set by the controller on a run by schedule.")
