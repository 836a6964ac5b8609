"""The lines of a stream, as the HTML standard has them (Server-sent events)."""

from __future__ import annotations

from pydantic_core import to_json

from octo_api.events.schemas import document
from octo_core.db.events import Event

MEDIA_TYPE = "text/event-stream"


def frame(event: Event, event_id: int) -> bytes:
    """An event; its JSON has no line break in it."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event_id, event.type.encode(), to_json(document(event, event_id)))


def heartbeat(event_id: int) -> bytes:
    """A comment, and where to resume: filtered out events count as seen, so that a quiet stream never expires."""
    return b": heartbeat\nid: %d\n\n" % event_id


def reconnect(milliseconds: int) -> bytes:
    """How long to wait before connecting again."""
    return b"retry: %d\n\n" % milliseconds
