"""Errors as problems: which status, and that what is not ours tells nothing."""

from __future__ import annotations

import json

import pytest
from starlette.exceptions import HTTPException

from octo_api.cursor import InvalidCursorError
from octo_api.errors import ClusterRefusedError, InvalidStateError, JobNotFoundError, acting_on_cluster, problem_of
from octo_core.domain import errors
from octo_core.kube.errors import GoneError


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.UnauthenticatedError("x"), 401, "unauthenticated"),
        (errors.ForbiddenError("x"), 403, "forbidden"),
        (errors.NotFoundError("x"), 404, "not-found"),
        (JobNotFoundError("x"), 404, "job-not-found"),
        (errors.ConflictError("x"), 409, "conflict"),
        (InvalidStateError("x"), 409, "invalid-state"),
        (GoneError("x"), 410, "gone"),
        (errors.InvalidError("x", field="/a"), 422, "validation-failed"),
        (InvalidCursorError(), 422, "invalid-cursor"),
        (errors.IdempotencyKeyReusedError("x"), 422, "idempotency-key-reused"),
        (errors.ClusterUnavailableError("x"), 503, "cluster-unavailable"),
        (errors.DatabaseUnavailableError("x"), 503, "database-unavailable"),
        (ClusterRefusedError("x"), 503, "cluster-refused"),
        (HTTPException(404, "internal words"), 404, "route-not-found"),
        (HTTPException(405), 405, "method-not-allowed"),
        (HTTPException(413), 413, "payload-too-large"),
        # FastAPI's word for a body that it cannot read.
        (HTTPException(400, "internal words"), 422, "validation-failed"),
        (errors.OctoError("internal words"), 500, "internal"),
        (RuntimeError("internal words"), 500, "internal"),
    ],
)
def test_status_and_code(error: Exception, status: int, code: str) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.code) == (status, code)
    assert "internal words" not in problem.body(instance="/", request_id="r").decode()


def test_every_error_of_the_tree_has_a_status() -> None:
    kinds = [errors.OctoError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    # The worker's verdicts never pass through the api.
    for kind in (kind for kind in kinds[1:] if kind.__module__.startswith(("octo_core.", "octo_api."))):
        error = kind.__new__(kind)
        errors.OctoError.__init__(error, "x")
        if isinstance(error, errors.InvalidError):
            error.fields = ()
        assert problem_of(error).status < 500 or kind.retryable or kind is ClusterRefusedError, kind


def test_a_passing_failure_says_when_to_come_back() -> None:
    problem = problem_of(errors.ClusterUnavailableError("x"))
    assert problem.retryable
    assert problem.headers["Retry-After"] == str(problem.more["retryAfter"])


def test_what_the_api_may_not_do_is_not_the_callers_fault() -> None:
    with pytest.raises(ClusterRefusedError) as caught, acting_on_cluster():
        raise errors.ForbiddenError('User "system:serviceaccount:octo:api" cannot create')
    assert "system:" not in caught.value.detail


def test_a_body_is_json_whatever_was_sent() -> None:
    body = problem_of(errors.NotFoundError("\ud800 \x00")).body(instance="/\ud800", request_id="r")
    assert json.loads(body)["detail"] == "\ud800 \x00"
