"""A request as a value, how an answer is read, and which are worth another try. Pure; both clients share it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from octo_client.errors import ProblemError
from octo_client.models import Problem

T = TypeVar("T")

IDEMPOTENCY_KEY = "Idempotency-Key"
_PASSING = frozenset({429, 502, 503, 504})
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE", "HEAD"})


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how long a failed request is tried again: where nothing can be done twice by that."""

    tries: int = 5
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0

    def wait_before(self, attempt: int, response: httpx.Response | None) -> float:
        """Seconds until try ``attempt`` (from 2 on): what the server asked for, else more each time, with jitter."""
        asked = response.headers.get("Retry-After", "") if response is not None else ""
        if asked.isdigit():
            return float(asked)
        return spread(min(self.first_wait_seconds * 2.0 ** (attempt - 2), self.longest_wait_seconds))


def spread(longest: float) -> float:
    """A wait of that many seconds at most, so that not all clients come back at once."""
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - nothing is kept secret by it


@dataclass(frozen=True, slots=True)
class Request:
    """One call of an operation. What is None is left out."""

    method: str
    path: str
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: BaseModel | Mapping[str, Any] | None = None
    content_type: str = "application/json"

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.method in _IDEMPOTENT or self.headers.get(IDEMPOTENCY_KEY) is not None

    def arguments(self) -> dict[str, Any]:
        """Arguments for ``httpx.Client.request``."""
        arguments: dict[str, Any] = {
            "method": self.method,
            "url": self.path.format(**{name: quote(value, safe="") for name, value in self.path_parameters.items()}),
            "params": [(name, text) for name, value in self.query.items() for text in _texts(value)],
            "headers": {name: _text(value) for name, value in self.headers.items() if value is not None},
        }
        if self.body is not None:
            arguments["headers"]["Content-Type"] = self.content_type
            arguments["content"] = TypeAdapter(Any).dump_json(
                self.body.model_dump(mode="json", by_alias=True, exclude_unset=True)
                if isinstance(self.body, BaseModel)
                else self.body
            )
        return arguments


def with_key(request: Request) -> Request:
    """The request with an Idempotency-Key of its own if it takes one and has none, so that it may be sent again."""
    if IDEMPOTENCY_KEY not in request.headers or request.headers[IDEMPOTENCY_KEY] is not None:
        return request
    headers = {**request.headers, IDEMPOTENCY_KEY: str(uuid.uuid4())}
    return Request(
        request.method,
        request.path,
        request.path_parameters,
        request.query,
        headers,
        request.body,
        request.content_type,
    )


def is_passing(response: httpx.Response) -> bool:
    """Whether the same request may succeed later."""
    if response.status_code not in _PASSING:
        return False
    try:
        return bool(response.json().get("retryable", True))
    except (ValueError, AttributeError):
        return True


def read(response: httpx.Response, kind: type[T] | None) -> T:
    """The document of a good answer, or its text if it is none, such as a log. Raises ProblemError for any other."""
    if not response.is_success:
        raise ProblemError(_problem(response))
    if kind is None:
        return None  # type: ignore[return-value]  # the generated method says that it returns None
    if kind is str and response.headers.get("Content-Type", "").partition(";")[0] != "application/json":
        return response.text  # type: ignore[return-value]  # that is what ``kind`` says
    return TypeAdapter(kind).validate_json(response.content)


def _problem(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        # Not ours: a proxy in between.
        return Problem.model_validate(
            {
                "type": "about:blank",
                "title": response.reason_phrase or "Error",
                "status": response.status_code,
                "detail": "The answer is not one of Octo's.",
                "instance": response.request.url.path,
                "code": "unknown",
                "requestId": response.headers.get("X-Request-Id", ""),
                "retryable": response.status_code in _PASSING,
            }
        )


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [_text(item) for item in value] if isinstance(value, (list, tuple)) else [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
