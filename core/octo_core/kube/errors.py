"""Answers of the API server, as Octo's errors."""

from __future__ import annotations

import re
from typing import Any

from octo_core.domain.errors import (
    AlreadyExistsError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    OctoError,
)
from octo_core.domain.pointers import pointer_of_field

_VALUE = re.compile(r'\b(Invalid|Unsupported|Duplicate) value: (?:"(?:[^"\\]|\\.)*"|[^":]*): ')


class GoneError(OctoError):
    """HTTP 410: the continue token or resourceVersion is too old; list again from the start."""

    code = "gone"
    retryable = True


def error_of(status: int, answer: dict[str, Any]) -> OctoError:
    """The error for a failed answer: its HTTP status, and the metav1.Status that is its body."""
    reason, message = str(answer.get("reason", "")), _without_values(str(answer.get("message", "")))
    if status == 404:
        return NotFoundError(message)
    if status == 409:
        return AlreadyExistsError(message) if reason == "AlreadyExists" else ConflictError(message)
    if status == 410:
        return GoneError(message)
    if status in (400, 413, 415, 422):
        return InvalidError(message, fields=_fields(answer))
    if status in (401, 403):
        return ForbiddenError(message)
    return ClusterUnavailableError(f"the Kubernetes API answered {status}: {message}")


def _fields(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Pointer and reason of each field that the API server's own validation found wrong."""
    causes = (answer.get("details") or {}).get("causes") or ()
    return [
        (pointer_of_field(str(cause["field"])), _without_values(str(cause.get("message", ""))))
        for cause in causes
        if "field" in cause
    ]


def _without_values(message: str) -> str:
    """What was wrong, but not the value itself: it may be a secret sent to the wrong field."""
    return _VALUE.sub(r"\1 value: ", message)
