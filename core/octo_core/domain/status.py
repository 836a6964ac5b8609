"""OctoJob.status: what became of a run, in at most 16 KiB."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pydantic import Field

from octo_core.domain.failure import Category
from octo_core.domain.model import Model, Time

MAX_ATTEMPTS_KEPT = 20
MAX_MESSAGE_LENGTH = 512
MAX_LOG_TAIL_LENGTH = 2048


class State(StrEnum):
    """The one word of the State column, derived from the rest (``domain.states``)."""

    PENDING = "Pending"
    QUEUED = "Queued"
    SUSPENDED = "Suspended"
    STARTING = "Starting"
    RUNNING = "Running"
    RETRYING = "Retrying"
    CANCELLING = "Cancelling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def terminal(self) -> bool:
        """Whether a run in this state has ended for good."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class ConditionType(StrEnum):
    """The conditions of an OctoJob; all are set from the first visit on."""

    ACCEPTED = "Accepted"
    ADMITTED = "Admitted"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FINISHED = "Finished"
    SUSPENDED = "Suspended"
    ARCHIVED = "Archived"
    STALLED = "Stalled"


class ConditionStatus(StrEnum):
    """metav1.ConditionStatus."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """metav1.Condition."""

    type: str = Field(max_length=316)
    status: ConditionStatus
    reason: str = Field(min_length=1, max_length=1024)
    message: str = Field(default="", max_length=2048)
    last_transition_time: Time
    observed_generation: int | None = Field(default=None, ge=0)


class Progress(Model):
    """How far the current attempt is. Written at most every few seconds."""

    files_listed: int = Field(default=0, ge=0)
    files_selected: int = Field(default=0, ge=0)
    files_skipped: int = Field(default=0, ge=0)
    files_done: int = Field(default=0, ge=0)
    files_failed: int = Field(default=0, ge=0)
    file_retries: int = Field(default=0, ge=0, description="Tries of files beyond their first.")
    bytes_downloaded: int = Field(default=0, ge=0)
    bytes_uploaded: int = Field(default=0, ge=0)
    summary: str = Field(default="", max_length=64, description="Done of selected, for the Files column: `12/340`.")
    updated_at: Time | None = None


def total(parts: Sequence[Progress]) -> Progress:
    """The progress of an attempt from that of each of its workers, who count their own shares of the files."""
    counts = {
        name: sum(getattr(part, name) for part in parts)
        for name in Progress.model_fields
        if name not in ("summary", "updated_at")
    }
    return Progress(
        **counts,
        summary=f"{counts['files_done']}/{counts['files_selected']}",
        updated_at=max((part.updated_at for part in parts if part.updated_at is not None), default=None),
    )


class Failure(Model):
    """Why the run failed and what a person can do about it."""

    category: Category
    reason: str = Field(min_length=1, max_length=256)
    message: str = Field(default="", max_length=1024)
    resolution: str = Field(default="", max_length=1024)
    retryable: bool = False
    exit_code: int | None = None


class Attempt(Model):
    """One child Job. Once its UID stands here, that Job is never created again."""

    number: int = Field(ge=1)
    job_uid: str | None = Field(default=None, max_length=64, alias="jobUID")
    pod_name: str | None = Field(default=None, max_length=253)
    start_time: Time | None = None
    completion_time: Time | None = None
    exit_code: int | None = None
    category: Category | None = None
    reason: str | None = Field(default=None, max_length=256)
    message: str | None = Field(default=None, max_length=MAX_MESSAGE_LENGTH)
    log_tail: str | None = Field(
        default=None, max_length=MAX_LOG_TAIL_LENGTH, description="The last lines of the log, if the attempt failed."
    )


class JobRef(Model):
    """The current batch/v1 Job."""

    name: str = Field(max_length=63)
    uid: str = Field(max_length=64)


class ManifestRef(Model):
    """The manifest beside the data: one JSON line for each file."""

    uri: str = Field(max_length=1024)
    sha256: str = Field(max_length=64)


class OctoJobStatus(Model):
    """Everything the controller says of a run. Per-file data never stands here."""

    observed_generation: int | None = None
    state: State | None = None
    attempt: int = Field(default=0, ge=0)
    attempts: tuple[Attempt, ...] = Field(default=(), max_length=MAX_ATTEMPTS_KEPT)
    job_ref: JobRef | None = None
    start_time: Time | None = None
    completion_time: Time | None = None
    next_attempt_time: Time | None = None
    queue_position: int | None = Field(default=None, ge=1)
    progress: Progress | None = None
    failure: Failure | None = None
    manifest_ref: ManifestRef | None = None
    conditions: tuple[Condition, ...] = Field(default=(), max_length=12)

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of that type, or None before the first visit."""
        return next((c for c in self.conditions if c.type == kind), None)
