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
    error = error_of(status, {"reason": reason, "message": "why"})
    assert type(error) is expected
    assert "why" in error.detail


def test_fields_are_named_and_values_left_out() -> None:
    causes = [
        {"field": "spec.source.sftp.hostKeys[0]", "message": 'Invalid value: "se\\"cret: x": too short'},
        {"field": "spec.source.sftp.port", "message": "Invalid value: 70000: should be at most 65535"},
        {"field": "metadata.labels[a.b/c]", "message": "no"},
        {"field": "<nil>", "message": "whole"},
    ]
    error = error_of(
        422, {"reason": "Invalid", "message": 'x: Invalid value: "secret": no', "details": {"causes": causes}}
    )
    assert isinstance(error, InvalidError)
    assert error.detail == "x: Invalid value: no"
    assert error.fields == (
        ("/spec/source/sftp/hostKeys/0", "Invalid value: too short"),
        ("/spec/source/sftp/port", "Invalid value: should be at most 65535"),
        ("/metadata/labels/a.b~1c", "no"),
        ("", "whole"),
    )
