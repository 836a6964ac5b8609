"""Documents of the job routes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from octo_core.domain.job import CancelMode, JobSelection, RunOptions
from octo_core.domain.model import Model, Time
from octo_core.domain.report import FileResult
from octo_core.domain.status import Attempt, Condition, Failure, ManifestRef, Progress, State

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


class JobRequest(ProviderJobRequest):
    """Body of ``POST /v1/jobs``."""

    provider: str = Field(min_length=1, max_length=63, pattern=DNS_SUBDOMAIN, description="Name of the OctoProvider.")


class CancelRequest(Model):
    """Body of ``POST /v1/jobs/{uid}:cancel``."""

    reason: str | None = Field(default=None, max_length=1024)
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


class FilePage(Model):
    """A page of files by path."""

    items: tuple[JobFile, ...]
    next_cursor: str | None = Field(description="None on the last page.")
