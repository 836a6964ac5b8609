"""The OpenAPI document: FastAPI's, with our one form of error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from octo_api.contract.examples import example_of
from octo_api.contract.problems import problem_types
from octo_api.errors import MEDIA_TYPE, TYPE_BASE
from octo_api.routing.base import problem_responses

TAGS = {
    "audit": "Who did what, and who was refused.",
    "api-keys": "Keys of callers: made, rotated, revoked.",
    "auth": "Credentials and what they stand for.",
    "events": "What happens to runs, as pages and as streams.",
    "jobs": "Runs of providers, live and past.",
    "operations": "For those who operate the server.",
    "providers": "Where files come from, how they are opened, and where they go.",
    "reports": "What the pods of runs say of themselves.",
    "webhooks": "Events sent to other systems.",
}

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail", "instance", "code", "requestId", "retryable"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "Path of the request."},
        "code": {"type": "string", "description": "Stable name of the problem, for programs."},
        "requestId": {"type": "string"},
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
        "retryAfter": {"type": "integer", "description": "Seconds to wait before that."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["in", "pointer", "detail"],
                "properties": {
                    "in": {"type": "string", "enum": ["body", "query", "path", "header"]},
                    "pointer": {"type": "string", "description": "JSON pointer to what is wrong."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


_PROBLEM_EXAMPLE = {
    "type": TYPE_BASE,
    "title": "",
    "status": 0,
    "detail": "What was wrong with this very request.",
    "instance": "/v1/jobs",
    "code": "",
    "requestId": "0f8b6c1d2e3f4a5b6c7d8e9f",
    "retryable": False,
}


PARAMETERS = {
    "action": "Noun and verb, such as `jobs.create`.",
    "actor": "Who made the request.",
    "createdBefore": "Made before this moment.",
    "delivery_id": "`id` of the delivery.",
    "failureCategory": "Failed for a reason of this category.",
    "finishedBefore": "Ended before this moment.",
    "jobId": "`id` of the run.",
    "name": "Name of the object, exactly.",
    "namePrefix": "How the name begins.",
    "namespace": "Default: the installation's own, or in lists of runs and events all that the caller may see.",
    "outcome": "How it came out.",
    "pathPrefix": "How the path begins.",
    "provider": "Name of the provider.",
    "requestId": "`X-Request-Id` of the request.",
    "requestedBy": "Who asked for it.",
    "resource": "What it was about.",
    "startedBefore": "Began before this moment.",
    "state": "The state it is in.",
    "subject": "Who the credential speaks for.",
    "webhook_id": "`id` of the webhook.",
}
"""What parameters mean that several operations share, where an operation does not say it itself."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document of ``app``, with an example for each body, and our one form of error."""
    api = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    api["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    api["servers"] = [{"url": "/", "description": "Where this document came from."}]
    schemas = api.setdefault("components", {}).setdefault("schemas", {})
    # FastAPI adds an error model of its own for 422, which nothing here answers with.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    api = _plainly_named(api)
    for name, schema in api["components"]["schemas"].items():
        schema.setdefault("description", f"{name}: one of these words." if "enum" in schema else "")
    tags = set()
    for operation in _operations(api):
        tags.update(operation["tags"])
        _describe(operation, api["components"]["schemas"])
    api["components"]["responses"] = {str(status): _problem_response(status) for status in _problem_statuses(api)}
    _refer_to_problems(api)
    api["tags"] = [{"name": tag, "description": TAGS.get(tag, tag.capitalize())} for tag in sorted(tags)]
    return api


def _plainly_named(api: dict[str, Any]) -> dict[str, Any]:
    """pydantic tells a model that reads otherwise than it writes by two names; one of them is the plain one."""
    text = json.dumps(api)
    named: dict[str, Any] = json.loads(text.replace('-Output"', '"').replace('-Input"', 'Input"'))
    return named


def _describe(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if not parameter.get("description") and parameter["name"] in PARAMETERS:
            parameter["description"] = PARAMETERS[parameter["name"]]
    body = operation.get("requestBody")
    if body is not None:
        body.setdefault("description", "See the example.")
        _add_examples(body.get("content", {}), schemas, whole=False)
    for status, response in operation["responses"].items():
        if int(status) < 400:
            if response.get("description") in (None, "Successful Response"):
                response["description"] = HTTPStatus(int(status)).phrase
            _add_examples(response.get("content", {}), schemas, whole=True)


def _add_examples(content: dict[str, Any], schemas: dict[str, Any], *, whole: bool) -> None:
    for media_type, described in content.items():
        if media_type.endswith("json") and "schema" in described:
            described.setdefault("example", example_of(described["schema"], schemas, whole=whole))


def _problem_statuses(api: dict[str, Any]) -> list[int]:
    found = {int(status) for operation in _operations(api) for status in operation["responses"]}
    return sorted(status for status in found if status >= 400)


def _problem_response(status: int) -> dict[str, Any]:
    """An error answer, described once for all operations that may give it."""
    response: dict[str, Any] = problem_responses([status])[status]
    known = [problem for problem in problem_types() if problem.status == status]
    if known:
        codes = ", ".join(f"`{problem.code}`" for problem in known)
        response["description"] = f"{response['description']}: {codes}."
        response["content"][MEDIA_TYPE]["example"] = {
            **_PROBLEM_EXAMPLE,
            "type": TYPE_BASE + known[0].code,
            "title": known[0].code.replace("-", " ").capitalize(),
            "status": status,
            "code": known[0].code,
            "retryable": known[0].retryable,
        }
    return response


def _refer_to_problems(api: dict[str, Any]) -> None:
    for operation in _operations(api):
        for status in operation["responses"]:
            if int(status) >= 400:
                operation["responses"][status] = {"$ref": f"#/components/responses/{status}"}


def _operations(api: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in api["paths"].values():
        yield from operations.values()
