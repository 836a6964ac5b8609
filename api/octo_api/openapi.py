"""The OpenAPI document: FastAPI's, with our one form of error."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from octo_api.routing.base import problem_responses

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


def document(app: FastAPI) -> dict[str, Any]:
    """The document of ``app``. FastAPI adds an error model of its own for 422, which nothing here answers with."""
    api = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    schemas = api.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    for operations in api["paths"].values():
        for operation in operations.values():
            if "422" in operation["responses"]:
                operation["responses"]["422"] = problem_responses([422])[422]
    return api
