"""The one error tree. Each process translates it once, at its own edge.

``detail`` is written for the person who made the request: it names the field or object and what to
do, and never carries a secret or an internal path.
"""

from __future__ import annotations

from collections.abc import Sequence


class OctoError(Exception):
    """Base of all errors that Octo raises on purpose."""

    code = "internal"
    retryable = False

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidError(OctoError):
    """The request is well formed but cannot be accepted.

    Where known, ``field`` is a JSON pointer to the place; ``fields`` are pointer and reason of each of several.
    """

    code = "validation-failed"

    def __init__(self, detail: str, *, field: str | None = None, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.fields = tuple(fields) or (((field, detail),) if field is not None else ())


class NotFoundError(OctoError):
    """The named object does not exist, or the caller may not know that it does."""

    code = "not-found"


class ConflictError(OctoError):
    """The object is not in a state that allows the request."""

    code = "conflict"


class AlreadyExistsError(ConflictError):
    """An object of that name exists."""

    code = "already-exists"


class IdempotencyKeyReusedError(OctoError):
    """An Idempotency-Key came again with another body."""

    code = "idempotency-key-reused"


class UnauthenticatedError(OctoError):
    """No credential, or one that is unknown, expired or revoked."""

    code = "unauthenticated"


class ForbiddenError(OctoError):
    """The caller is known and may not do this."""

    code = "forbidden"


class ClusterUnavailableError(OctoError):
    """The Kubernetes API could not be reached or refused for a passing reason."""

    code = "cluster-unavailable"
    retryable = True


class DatabaseUnavailableError(OctoError):
    """Postgres could not be reached or refused for a passing reason."""

    code = "database-unavailable"
    retryable = True
