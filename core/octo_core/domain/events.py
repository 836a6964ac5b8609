"""What may happen that others want to know of: a closed set of types, and which of them a change of a run is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field

from octo_core.domain.failure import Category
from octo_core.domain.model import Model
from octo_core.domain.status import Progress, State


class EventType(StrEnum):
    """What happened. A reader must be ready for types that a later version adds."""

    JOB_CREATED = "job.created"
    JOB_PENDING = "job.pending"
    JOB_QUEUED = "job.queued"
    JOB_SUSPENDED = "job.suspended"
    JOB_STARTING = "job.starting"
    JOB_RUNNING = "job.running"
    JOB_RETRYING = "job.retrying"
    JOB_CANCELLING = "job.cancelling"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_DELETED = "job.deleted"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"

    @property
    def ends_job(self) -> bool:
        """Whether a run has ended for good with it."""
        return self in _ENDS


_ENDS = (EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELLED, EventType.JOB_DELETED)

MEANINGS: dict[EventType, str] = {
    EventType.JOB_CREATED: "The run was seen for the first time; always its first event",
    EventType.JOB_PENDING: "It waits for its provider or its time",
    EventType.JOB_QUEUED: "It waits its turn",
    EventType.JOB_SUSPENDED: "It is held by `spec.suspend`",
    EventType.JOB_STARTING: "The Job of an attempt exists, its pod does not run yet",
    EventType.JOB_RUNNING: "The pod of an attempt runs",
    EventType.JOB_RETRYING: "An attempt failed, another one follows",
    EventType.JOB_CANCELLING: "Its end was asked for",
    EventType.JOB_SUCCEEDED: "It ended well",
    EventType.JOB_FAILED: "It ended badly; `data.failure` says why and what to do",
    EventType.JOB_CANCELLED: "It was ended on request",
    EventType.JOB_DELETED: "Its OctoJob is gone from the cluster; its history stays",
    EventType.WEBHOOK_DISABLED: "A webhook's endpoint failed for too long, and nothing is sent there any more",
    EventType.WEBHOOK_TEST: "Sent on request to one webhook, and never part of a stream",
}


class EventFailure(Model):
    """Why a run failed."""

    category: Category
    reason: str
    message: str = ""
    resolution: str = ""
    retryable: bool = False


class JobEventData(Model):
    """Of a `job.` event: the run as it was then."""

    state: State
    previous_state: State | None = Field(default=None, description="None in `job.created`.")
    attempt: int
    reason: str | None = Field(default=None, description="In a word, as in the condition `Succeeded`.")
    failure: EventFailure | None = None
    progress: Progress | None = Field(default=None, description="When the run has ended.")


class WebhookEventData(Model):
    """Of a `webhook.` event."""

    webhook_id: str
    webhook_name: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What of a run makes an event when it changes."""

    state: str
    attempt: int


def type_of(state: str) -> EventType:
    """The type of the event that a run went into ``state``."""
    return EventType(f"job.{state.lower()}")


def job_changes(before: Seen | None, after: Seen) -> list[EventType]:
    """The events that lead from one sight of a run to the next; ``before`` is None at the first one."""
    if before is None:
        first = [EventType.JOB_CREATED]
        return first if after.state == State.PENDING else [*first, type_of(after.state)]
    return [] if before == after else [type_of(after.state)]
