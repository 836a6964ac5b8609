"""Which form of a stream a client asks for, and its bytes: server-sent events or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Any

from pydantic import BaseModel

SEND_SECONDS = 30.0
"""A client that takes nothing for so long is cut off, and goes on where it was when it comes back."""
# A proxy that collects the answer before it passes it on would hold everything up.
STREAM_HEADERS = {"Cache-Control": "no-cache, no-store, no-transform", "X-Accel-Buffering": "no"}
HEARTBEAT = b": heartbeat\n\n"
"""A comment among server-sent events, so that nobody takes a quiet stream for a dead one."""


class Form(Enum):
    """The forms a stream comes in, by media type."""

    SSE = "text/event-stream"
    JSON_LINES = "application/jsonl"


def wanted_form(accept: str | None) -> Form | None:
    """The stream that ``Accept`` names; None where it names neither."""
    named = {part.split(";")[0].strip().lower() for part in (accept or "").split(",")}
    return next((form for form in Form if form.value in named), None)


def writer(form: Form) -> Callable[[str, BaseModel], bytes]:
    """Makes the bytes of one event, of its type and document."""
    return _sse if form is Form.SSE else _line


def _sse(event: str, document: BaseModel) -> bytes:
    return f"event: {event}\ndata: {document.model_dump_json(by_alias=True)}\n\n".encode()


def _line(event: str, document: BaseModel) -> bytes:
    fields: dict[str, Any] = {"event": event, **document.model_dump(mode="json", by_alias=True)}
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"
