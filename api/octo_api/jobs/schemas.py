"""Documents of the job routes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from octo_api.jobs.labels import MAX_LABELS, LabelKey, Labels, LabelValue
from octo_core.domain.job import CancelMode, JobSelection, RunOptions
from octo_core.domain.model import Model, Time
from octo_core.domain.report import FileResult
from octo_core.domain.status import Attempt, Condition, Failure, ManifestRef, Progress, State
from octo_core.domain.text import no_nul

KEY_PATTERN = "^[!-~]+$"
DNS_LABEL = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
DNS_SUBDOMAIN = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"


class JobOptions(RunOptions):
    """What a user may say of a run. What is left out comes from the provider."""

    parameters: dict[Annotated[str, Field(min_length=1, max_length=63)], Annotated[str, Field(max_length=4096)]] = (
        Field(default_factory=dict, max_length=64, description="Passed to the main logic as they are.")
    )
    selection: JobSelection = JobSelection()
    suspend: bool = Field(default=False, description="Hold the run until this is set to false.")
    start_after: Time | None = None


class ProviderJobRequest(JobOptions):
    """Body of ``POST /v1/providers/{name}/jobs``."""

    namespace: str | None = Field(default=None, min_length=1, max_length=63, pattern=DNS_LABEL)
    labels: Labels = Field(default_factory=dict)


class JobRequest(ProviderJobRequest):
    """Body of ``POST /v1/jobs``."""

    provider: str = Field(min_length=1, max_length=63, pattern=DNS_SUBDOMAIN, description="Name of the OctoProvider.")


class BatchItem(JobRequest):
    """One of the runs that a batch asks for."""

    idempotency_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        pattern=KEY_PATTERN,
        description="As the header of a single request. Default: the header's, with the item's place in the batch.",
    )


class BatchRequest(Model):
    """Body of ``POST /v1/jobs:batch``."""

    items: tuple[BatchItem, ...] = Field(min_length=1, max_length=1000)


class RerunMode(StrEnum):
    """All: what the run took, once more. FailedFiles: only the files that failed in it."""

    ALL = "All"
    FAILED_FILES = "FailedFiles"


class RerunRequest(Model):
    """Body of ``POST /v1/jobs/{uid}:rerun``."""

    mode: RerunMode = RerunMode.ALL


class JobPatch(Model):
    """Body of ``PATCH /v1/jobs/{uid}``, a merge patch (RFC 7396): null takes a value away."""

    suspend: bool | None = Field(default=None, description="Hold the run, or let it go on.")
    priority: int | None = Field(default=None, ge=-1000, le=1000, description="Higher goes first.")
    labels: dict[LabelKey, LabelValue | None] = Field(default_factory=dict, max_length=MAX_LABELS)


class CancelRequest(Model):
    """Body of ``POST /v1/jobs/{uid}:cancel``."""

    reason: Annotated[str, Field(max_length=1024), AfterValidator(no_nul)] | None = None
    mode: CancelMode = CancelMode.GRACEFUL


class Job(Model):
    """A run: live in the cluster, or from the archive."""

    id: str = Field(description="uid of the OctoJob.")
    namespace: str
    name: str
    provider: str
    state: State
    reason: str | None
    attempt: int
    priority: int
    queue_position: int | None
    requested_by: str | None
    rerun_of: str | None = Field(description="`id` of the run that this one repeats.")
    schedule: str | None = Field(description="The provider whose schedule made the run.")
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    next_attempt_at: Time | None
    deleted_at: Time | None = Field(description="When the OctoJob was seen to be gone from the cluster.")
    progress: Progress | None
    failure: Failure | None
    attempts: tuple[Attempt, ...]
    conditions: tuple[Condition, ...]
    manifest: ManifestRef | None
    labels: dict[str, str]
    spec: dict[str, Any] = Field(description="The spec of the OctoJob, as it was asked for.")


class PartialJob(Job):
    """The fields of a run that were asked for."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.update(required=[]))


class JobPage(Model):
    """A page of runs."""

    items: tuple[Job, ...] | tuple[PartialJob, ...]
    next_cursor: str | None = Field(description="None on the last page.")


class JobFile(FileResult):
    """What became of one object of one file."""

    attempt: int


class AttemptList(Model):
    """The attempts of a run that are kept, the first one first."""

    items: tuple[Attempt, ...]


class BatchResult(Model):
    """What became of one item."""

    status: int = Field(description="The HTTP status that the item would have had as a request of its own.")
    replayed: bool = Field(description="Whether an earlier request had asked for it.")
    job: Job | None
    problem: dict[str, Any] | None = Field(description="Why there is no run: problem details (RFC 9457).")


class BatchResponse(Model):
    """A result for each item, in their order."""

    accepted: int = Field(description="How many items have a run.")
    items: tuple[BatchResult, ...]


class BulkCancelResult(Model):
    """What became of the wish to end one run."""

    id: str
    status: int = Field(description="The HTTP status that a request for this run alone would have had.")
    problem: dict[str, Any] | None


class BulkCancelResponse(Model):
    """A result for each run that matched."""

    accepted: int = Field(description="How many runs were told to end.")
    items: tuple[BulkCancelResult, ...]


class FilePage(Model):
    """A page of files by path."""

    items: tuple[JobFile, ...]
    next_cursor: str | None = Field(description="None on the last page.")
