"""Each answer of the API server becomes the error that callers act on."""

from __future__ import annotations

import pytest

from octo_core.domain.errors import (
    AlreadyExistsError,
    ClusterUnavailableError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    OctoError,
)
from octo_core.kube.errors import GoneError, error_of


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (410, "Expired", GoneError),
        (422, "Invalid", InvalidError),
        (400, "BadRequest", InvalidError),
        (403, "Forbidden", ForbiddenError),
        (401, "Unauthorized", ForbiddenError),
        (429, "TooManyRequests", ClusterUnavailableError),
        (500, "InternalError", ClusterUnavailableError),
        (503, "", ClusterUnavailableError),
    ],
)
def test_error_of(status: int, reason: str, expected: type[OctoError]) -> None:
    error = error_of(status, reason, "why")
    assert type(error) is expected
    assert "why" in error.detail
