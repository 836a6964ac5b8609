"""Server-sent events, put together from lines (the parsing of the HTML standard, 9.2.6). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its type, its id if it has one, and its document."""

    type: str
    id: str | None
    data: Any


class ServerEvents:
    """What a stream has come to. It knows from where to go on, and when."""

    def __init__(self, last_event_id: str | None = None) -> None:
        self._last_id = last_event_id
        self._next_id = last_event_id
        self._type = ""
        self._data: list[str] = []
        self._left = ""
        self._retry_seconds: float | None = None

    @property
    def resumable(self) -> bool:
        """Whether another request can go on where this stream ended."""
        return self._last_id is not None

    @property
    def pause_seconds(self) -> float:
        """How long to stay away from a server that ended the stream; it says so last when it shuts down."""
        return self._retry_seconds or 0.0

    def headers(self) -> dict[str, str | None]:
        """Headers of a request for what comes next. What was half read is forgotten."""
        self._type, self._data, self._left, self._retry_seconds = "", [], "", None
        self._next_id = self._last_id
        return {"Accept": "text/event-stream", "Last-Event-ID": self._last_id}

    def feed(self, text: str) -> Iterator[ServerEvent]:
        """Take a piece of the stream; the events that it ends.

        Its lines end where the standard says, and not at every character that Unicode counts as the end of one:
        those may stand in a message.
        """
        *lines, self._left = (self._left + text).split("\n")
        for line in lines:
            event = self.line(line.removesuffix("\r"))
            if event is not None:
                yield event

    def line(self, line: str) -> ServerEvent | None:
        """Take a line; the event that it ends, if it ends one."""
        if not line:
            return self._event()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        self._retry_seconds = int(value) / 1000 if name == "retry" and value.isdecimal() else None
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._next_id = value
        return None

    def _event(self) -> ServerEvent | None:
        kind, data = self._type or "message", "\n".join(self._data)
        self._type, self._data = "", []
        # Only now: what broke off before this line is to come once more.
        self._last_id = self._next_id
        return ServerEvent(kind, self._last_id, json.loads(data)) if data else None
