"""The OpenAPI document as a client reads it: types, and no limits, which are the server's to hold. Pure."""

from __future__ import annotations

from typing import Any

_LIMITS = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "pattern",
    "propertyNames",
    "default",
    "example",
    "examples",
)


def simplified(document: dict[str, Any]) -> dict[str, Any]:
    """The document without limits, defaults, examples and titles of fields: a newer server may allow more than this
    client knows, and each of them would become a class of its own."""
    schemas = {name: _schema(schema) for name, schema in document["components"]["schemas"].items()}
    components = {**document["components"], "schemas": schemas}
    return {**document, "components": components, "paths": _paths(document["paths"])}


def _schema(node: Any) -> Any:
    if isinstance(node, list):
        return [_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):
            made[key] = {name: _schema(child) for name, child in value.items()}
        elif key not in (*_LIMITS, "title"):
            made[key] = value if key in ("enum", "required", "const") else _schema(value)
    options = made.get("anyOf", ())
    types = [option.get("type") for option in options]
    if len(options) == 2 and "null" in types and set(options[types.index("null") - 1]) <= {"type", "format"}:
        other = options[types.index("null") - 1]
        if isinstance(other.get("type"), str):
            del made["anyOf"]
            made = {**other, **made, "type": [other["type"], "null"]}
    return made


def _paths(paths: dict[str, Any]) -> dict[str, Any]:
    return {
        path: {method: {**operation, "parameters": _parameters(operation)} for method, operation in operations.items()}
        for path, operations in paths.items()
    }


def _parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**parameter, "schema": _schema(parameter["schema"])} for parameter in operation.get("parameters", ())]
