"""Every error as RFC 9457 problem+json, translated here and nowhere else."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from octo_api.context import RequestContext
from octo_core.domain.errors import (
    ClusterUnavailableError,
    ConflictError,
    DatabaseUnavailableError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidError,
    NotFoundError,
    OctoError,
    UnauthenticatedError,
)
from octo_core.domain.pointers import pointer
from octo_core.kube.errors import GoneError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "https://octo.dev/problems/"
RETRY_AFTER_SECONDS = 2
MAX_ERRORS = 50


class JobNotFoundError(NotFoundError):
    """No run of that id, or none that the caller may know of."""

    code = "job-not-found"


class ProviderNotFoundError(NotFoundError):
    """No OctoProvider of that name in the namespace."""

    code = "provider-not-found"


class ApiKeyNotFoundError(NotFoundError):
    """No API key of that id, or none that the caller may know of."""

    code = "api-key-not-found"


class WebhookNotFoundError(NotFoundError):
    """No webhook of that id, or none that the caller may know of."""

    code = "webhook-not-found"


class DeliveryNotFoundError(NotFoundError):
    """The webhook was sent no message of that id, or it is not kept any more."""

    code = "delivery-not-found"


class InvalidStateError(ConflictError):
    """The run, or the key, is past the point where this could be done."""

    code = "invalid-state"


class CountDiffersError(ConflictError):
    """Not as many runs match as the caller expected, so nothing was done to any."""

    code = "count-differs"


class PreconditionFailedError(OctoError):
    """``If-Match`` names a version of the object that is not the newest any more: read it again, then decide."""

    code = "precondition-failed"


class ClusterRefusedError(OctoError):
    """The cluster forbids the api what it was asked to do: its RBAC, a quota or an admission rule."""

    code = "cluster-refused"


class ContendedError(ClusterUnavailableError):
    """Others change the object so fast that there was no turn for this request."""

    code = "contended"


class TooManyStreamsError(OctoError):
    """This process holds as many streams as it may, or is about to end; another one may take it."""

    code = "too-many-streams"
    retryable = True


class IssuerUnavailableError(OctoError):
    """The OpenID Connect issuer's keys are needed, and it does not answer."""

    code = "issuer-unavailable"
    retryable = True


class RateLimitedError(OctoError):
    """The caller, or the client's address, asks too often; ``retry_after`` is in seconds."""

    code = "rate-limited"
    retryable = True
    retry_after = RETRY_AFTER_SECONDS

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class CursorExpiredError(OctoError):
    """What lies behind the cursor is not kept any more, or changed too much; it has to be read from the start."""

    code = "cursor-expired"


# The first class that fits decides, so the special ones stand before the general.
_STATUS: tuple[tuple[type[OctoError], int], ...] = (
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (GoneError, 410),
    (CursorExpiredError, 410),
    (PreconditionFailedError, 412),
    (InvalidError, 422),
    (IdempotencyKeyReusedError, 422),
    (RateLimitedError, 429),
    (IssuerUnavailableError, 503),
    (ClusterRefusedError, 503),
    (TooManyStreamsError, 503),
    (ClusterUnavailableError, 503),
    (DatabaseUnavailableError, 503),
)

_DETAILS = {
    ClusterUnavailableError.code: "The Kubernetes API cannot be used at the moment; try again.",
    DatabaseUnavailableError.code: "The database cannot be used at the moment; try again.",
    IssuerUnavailableError.code: "The identity provider cannot be used at the moment; try again.",
}
"""For errors whose own words are about the inside; the log has those."""

HTTP_PROBLEMS: tuple[tuple[int, str, str], ...] = (
    (400, "bad-request", "The request is not one that HTTP or this API knows."),
    (404, "route-not-found", "There is nothing under this path."),
    (405, "method-not-allowed", "The path has no such method; `Allow` has those it has."),
    (408, "request-timeout", "The request's body came too slowly."),
    (413, "payload-too-large", "The request body is larger than this server takes."),
    (431, "headers-too-large", "The request's headers are larger than this server takes."),
)
"""Status, code and meaning of the problems that arise before any of our own code is reached."""
_HTTP_CODES = {status: code for status, code, _ in HTTP_PROBLEMS}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the client sees it."""

    status: int
    code: str
    detail: str
    retryable: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What there is to say of it wherever it is met."""
        return {
            "type": TYPE_BASE + self.code,
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.retryable,
            **self.more,
        }

    def body(self, *, instance: str, request_id: str) -> bytes:
        """The JSON document. ASCII only, since a lone surrogate in what the client sent has no UTF-8."""
        return json.dumps({**self.document(), "instance": instance, "requestId": request_id}).encode()


INTERNAL = Problem(500, "internal", "The server failed on this request; its log has the cause under the request id.")
BAD_REQUEST = Problem(400, "bad-request", "This is not an HTTP request.")
TOO_LARGE = Problem(413, _HTTP_CODES[413], "The request body is larger than this server takes.")
UNREADABLE = Problem(
    422,
    InvalidError.code,
    "The request does not match its schema; see errors.",
    more={"errors": [{"in": "body", "pointer": "", "detail": "This is not JSON in UTF-8."}]},
)
"""FastAPI's 400, which it raises for nothing but a body that its parser fails on in an unusual way."""
HEAD_TOO_LARGE = Problem(431, _HTTP_CODES[431], "The request's headers are larger than this server takes.")
HEAD_TIMEOUT = Problem(408, _HTTP_CODES[408], "The request's headers did not arrive in time.", retryable=True)
BODY_TIMEOUT = Problem(408, _HTTP_CODES[408], "The request's body did not arrive in time.", retryable=True)


def _unavailable(code: str, detail: str) -> Problem:
    again = RETRY_AFTER_SECONDS
    return Problem(503, code, detail, True, {"retryAfter": again}, {"Retry-After": str(again)})


OVERLOADED = _unavailable("overloaded", "The server has more requests under way than it can serve; try again.")
TIMEOUT = _unavailable("timeout", "The server could not answer in time; try again.")


def problem_of(error: Exception) -> Problem:
    """What the client may know of ``error``; one that is not ours tells nothing."""
    if isinstance(error, RequestValidationError):
        return Problem(
            422,
            InvalidError.code,
            "The request does not match its schema; see errors.",
            more={"errors": _validation_errors(error.errors())},
        )
    if isinstance(error, HTTPException):
        if error.status_code == BODY_TIMEOUT.status:
            return BODY_TIMEOUT
        if error.status_code == BAD_REQUEST.status:
            return UNREADABLE
        code = _HTTP_CODES.get(error.status_code, "bad-request" if error.status_code < 500 else INTERNAL.code)
        phrase = HTTPStatus(error.status_code).phrase
        return Problem(error.status_code, code, f"{phrase}.", headers=dict(error.headers or {}))
    if isinstance(error, OctoError):
        status = status_of(type(error))
        if status is not None:
            return _of_octo_error(error, status)
    return INTERNAL


def status_of(kind: type[OctoError]) -> int | None:
    """The HTTP status of an error of ours; None for one that tells of the inside only."""
    return next((status for known, status in _STATUS if issubclass(kind, known)), None)


def _of_octo_error(error: OctoError, status: int) -> Problem:
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, InvalidError) and error.fields:
        more["errors"] = [{"in": "body", "pointer": where, "detail": why} for where, why in error.fields[:MAX_ERRORS]]
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="octo"'
    if error.retryable:
        seconds = error.retry_after if isinstance(error, RateLimitedError) else RETRY_AFTER_SECONDS
        more["retryAfter"] = seconds
        headers["Retry-After"] = str(seconds)
    detail = _DETAILS.get(error.code, error.detail)
    return Problem(status, error.code, detail, retryable=error.retryable, more=more, headers=headers)


def _validation_errors(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Where and what, never the value itself: it may be a secret sent to the wrong field."""
    found = []
    for error in errors[:MAX_ERRORS]:
        where, *path = error["loc"]
        if error["type"] == "json_invalid":
            path = []
        found.append({"in": str(where), "pointer": pointer(*path), "detail": str(error["msg"])})
    return found


def response_of(problem: Problem, request: Request) -> Response:
    """The response that carries ``problem``."""
    context = RequestContext.of(request.scope)
    body = problem.body(instance=request.url.path, request_id=context.request_id)
    return Response(body, problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE)


async def _handle(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.status == 405:
        problem = replace(problem, headers={**problem.headers, "Allow": ", ".join(_methods_of(request))})
    if problem.status >= 500:
        logger.warning("request failed", extra={"code": problem.code, "cause": str(error)})
    return response_of(problem, request)


def _methods_of(request: Request) -> list[str]:
    """All methods of a path; the one route that the framework looks at has one of them."""
    routes: Sequence[Route] = request.app.state.routes
    path = request.scope["path"]
    return sorted({method for route in routes if route.path_regex.match(path) for method in route.methods or ()})


def register_error_handlers(app: FastAPI) -> None:
    """Route all errors that have a meaning through ``problem_of``; the middleware answers for all others."""
    for kind in (OctoError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handle)


@contextmanager
def acting_on_cluster() -> Iterator[None]:
    """Around calls to Kubernetes: that the *api* may not do something is not the caller's 403."""
    try:
        yield
    except ForbiddenError as error:
        raise ClusterRefusedError(
            "The cluster does not let Octo do this: its permissions, a quota or an admission rule forbid it."
        ) from error
