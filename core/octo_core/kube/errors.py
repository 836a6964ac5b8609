"""Answers of the API server, as Octo's errors."""

from __future__ import annotations

from octo_core.domain.errors import (
    AlreadyExistsError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    OctoError,
)


class GoneError(OctoError):
    """HTTP 410: the continue token or resourceVersion is too old; list again from the start."""

    code = "gone"
    retryable = True


def error_of(status: int, reason: str, message: str) -> OctoError:
    """The error for a failed answer: HTTP status, and ``reason`` and ``message`` of its metav1.Status."""
    if status == 404:
        return NotFoundError(message)
    if status == 409:
        return AlreadyExistsError(message) if reason == "AlreadyExists" else ConflictError(message)
    if status == 410:
        return GoneError(message)
    if status in (400, 413, 415, 422):
        return InvalidError(message)
    if status in (401, 403):
        return ForbiddenError(message)
    return ClusterUnavailableError(f"the Kubernetes API answered {status}: {message}")
