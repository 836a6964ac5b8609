"""Methods of the clients, one for each operation, as Python source. Pure."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_LEFT_OUT = {"reports_create", "ops_metrics"}
"""For pods of runs and for Prometheus, not for callers."""


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    wire: str
    place: str
    type: str
    required: bool


def module(document: Json) -> str:
    """The whole module: the operations of the blocking client, and those of the one for asyncio."""
    operations = [
        (path, method, operation)
        for path, methods in sorted(document["paths"].items())
        for method, operation in sorted(methods.items())
        if operation["operationId"] not in _LEFT_OUT
    ]
    lines = [
        "",
        "from __future__ import annotations",
        "",
        "from abc import ABC, abstractmethod",
        "from datetime import datetime",
        "from typing import Any, TypeVar",
        "",
        "from octo_client import models",
        "from octo_client.requests import Request",
        "",
        'T = TypeVar("T")',
    ]
    for name, a, doc in (("Operations", "", "blocking"), ("AsyncOperations", "async ", "for asyncio")):
        lines += ["", "", f"class {name}(ABC):", f'    """All operations of the API, {doc}."""', ""]
        lines += [
            "    @abstractmethod",
            f"    {a}def _call(self, kind: type[T] | None, request: Request) -> T:",
            '        """Send, repeat where that helps, and read the answer as ``kind``."""',
        ]
        for path, method, operation in operations:
            lines += ["", *(f"    {line}" if line else "" for line in _method(path, method, operation, a))]
    return "\n".join(lines) + "\n"


def _method(path: str, method: str, operation: Json, a: str) -> Iterator[str]:
    parameters = list(_parameters(operation))
    body, content_type = _body(operation)
    answer = _answer(operation)
    yield f"{a}def {operation['operationId']}("
    yield "    self,"
    for parameter in parameters:
        if parameter.place == "path":
            yield f"    {parameter.name}: {parameter.type},"
    if body is not None:
        required = operation["requestBody"].get("required", False)
        yield f"    body: {body}," if required else f"    body: {body} | None = None,"
    named = [parameter for parameter in parameters if parameter.place != "path"]
    if named:
        yield "    *,"
    for parameter in sorted(named, key=lambda parameter: not parameter.required):
        yield f"    {parameter.name}: {parameter.type}{'' if parameter.required else ' | None = None'},"
    yield f") -> {answer}:"
    text = " ".join((operation.get("description") or operation["summary"]).split("\n\n")[0].split())
    yield f'    """{text}"""' if len(text) < 100 else f'    """{text[:97].rsplit(" ", 1)[0]} …"""'
    # A call without an answer returns nothing, which is not a value to return.
    yield f"    {'return ' if answer != 'None' else ''}{'await ' if a else ''}self._call("
    yield f"        {answer},"
    yield "        Request("
    yield f'            "{method.upper()}",'
    yield f'            "{path}",'
    for place, argument in (("path", "path_parameters"), ("query", "query"), ("header", "headers")):
        given = [parameter for parameter in parameters if parameter.place == place]
        if given:
            pairs = ", ".join(f'"{parameter.wire}": {parameter.name}' for parameter in given)
            yield f"            {argument}={{{pairs}}},"
    if body is not None:
        yield "            body=body,"
        if content_type != "application/json":
            yield f'            content_type="{content_type}",'
    yield "        ),"
    yield "    )"


def _parameters(operation: Json) -> Iterator[_Parameter]:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] in ("path", "query", "header") and parameter["name"].lower() != "accept":
            wire = parameter["name"]
            yield _Parameter(
                name=_snake(wire),
                wire="Idempotency-Key" if wire.lower() == "idempotency-key" else wire,
                place=parameter["in"],
                type=_type(parameter["schema"]),
                required=parameter.get("required", False),
            )


def _body(operation: Json) -> tuple[str | None, str]:
    for media_type, described in operation.get("requestBody", {}).get("content", {}).items():
        return _type(described["schema"]), media_type
    return None, ""


def _answer(operation: Json) -> str:
    for status, response in sorted(operation["responses"].items()):
        if status.startswith("2"):
            content = response.get("content", {})
            if "application/json" in content:
                return (
                    _type(content["application/json"]["schema"])
                    if content["application/json"].get("schema")
                    else "None"
                )
            # A log, or lines of JSON; a stream of events has a method of its own.
            return "str" if content.keys() - {"text/event-stream"} else "None"
    return "None"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return f"models.{schema['$ref'].rpartition('/')[2]}"
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if options:
        return " | ".join(dict.fromkeys(_type(option) for option in options))
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "string" and schema.get("format") == "date-time":
        return "datetime"
    return _TYPES.get(kind or "", "dict[str, Any]" if kind == "object" else "Any")


def _snake(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    return f"{snake}_" if keyword.iskeyword(snake) else snake
