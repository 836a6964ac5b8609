"""Documents of events. Streams, pages and webhooks show an event alike."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from octo_core.db import events
from octo_core.domain.events import EventType, JobEventData, WebhookEventData
from octo_core.domain.model import Model, Time, rfc3339

SCHEMA_VERSION: Literal[1] = 1


class Event(Model):
    """Something that happened."""

    id: int = Field(
        description="Where it stands in what it was read from: `sequence` among the events of a run, its position "
        "among all. Events read later have higher ones."
    )
    type: EventType
    version: Literal[1] = Field(description="Of this schema. Fields and types may be added to a version.")
    timestamp: Time
    namespace: str
    provider: str | None
    job_id: str | None
    job_name: str | None
    sequence: int | None = Field(description="Counts from 1 without a gap within the run.")
    data: JobEventData | WebhookEventData


class EventPage(Model):
    """Events in their order."""

    items: tuple[Event, ...]
    last_id: int = Field(description="To go on from as `after`, also when there are no items.")
    more: bool = Field(description="Whether to go on at once. A page may hold fewer items than asked for.")


def document(event: events.Event, event_id: int) -> dict[str, Any]:
    """The document of an event. Types that only a newer Octo knows are passed on as they are."""
    return {
        "id": event_id,
        "type": event.type,
        "version": SCHEMA_VERSION,
        "timestamp": rfc3339(event.at),
        "namespace": event.namespace,
        "provider": event.provider,
        "jobId": event.job_uid,
        "jobName": event.job_name,
        "sequence": event.seq,
        "data": event.data,
    }
