"""Server-sent events, put together from lines (the parsing of the HTML standard, 9.2.6). Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its type, its id if it has one, and its document."""

    type: str
    id: str | None
    data: Any


class ServerEvents:
    """What a stream has come to. It knows from where to go on."""

    def __init__(self, last_event_id: str | None = None) -> None:
        self._last_id = last_event_id
        self._type = ""
        self._data: list[str] = []

    def headers(self) -> dict[str, str | None]:
        """Headers of a request for what comes next. What was half read is forgotten."""
        self._type, self._data = "", []
        return {"Accept": "text/event-stream", "Last-Event-ID": self._last_id}

    def line(self, line: str) -> ServerEvent | None:
        """Take a line; the event that it ends, if it ends one."""
        if not line:
            return self._event()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._last_id = value
        return None

    def _event(self) -> ServerEvent | None:
        kind, data = self._type or "message", "\n".join(self._data)
        self._type, self._data = "", []
        return ServerEvent(kind, self._last_id, json.loads(data)) if data else None
