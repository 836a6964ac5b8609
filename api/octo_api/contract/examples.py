"""An example for each document, made from its schema, so that none is out of date and each is valid. Pure."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_BY_FORMAT = {"date-time": "2026-03-02T06:30:00Z", "uri": "https://octo.dev/problems/not-found", "uuid": "x"}
_BY_NAME: dict[str, Any] = {
    "id": "6f1d2c1e-7a54-4f0e-9b0e-0d9a3f3b8c11",
    "jobId": "6f1d2c1e-7a54-4f0e-9b0e-0d9a3f3b8c11",
    "uid": "6f1d2c1e-7a54-4f0e-9b0e-0d9a3f3b8c11",
    "name": "bank",
    "namespace": "octo",
    "provider": "bank",
    "host": "sftp.bank.example",
    "username": "octo",
    "paths": ["outgoing"],
    "hostKeys": ["sftp.bank.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqHbEXAMPLE"],
    "bucket": "landing",
    "prefix": "bank",
    "cron": "30 6 * * mon-fri",
    "timeZone": "Europe/Berlin",
    "key": "bank/data/csv/rates.csv",
    "sourcePath": "outgoing/rates.csv.gz.gpg",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "reason": "Completed",
    "requestedBy": "ops",
    "subject": "ops",
    "summary": "12/12",
    "message": "",
}
_DEPTH = 6


def example_of(schema: Schema, components: dict[str, Schema], *, whole: bool) -> Any:
    """A value that matches ``schema``. ``whole`` fills in what need not be there, as an answer has it; without it
    only what must be."""
    return _Examples(components, whole=whole).of(schema, "", 0)


class _Examples:
    def __init__(self, components: dict[str, Schema], *, whole: bool) -> None:
        self._components = components
        self._whole = whole

    def of(self, schema: Schema, name: str, depth: int) -> Any:
        if "$ref" in schema:
            return self.of(self._components[schema["$ref"].rpartition("/")[2]], name, depth)
        if schema.get("examples"):
            return schema["examples"][0]
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return self._one_of(schema[union], name, depth)
        if "allOf" in schema:
            return self.of(schema["allOf"][0], name, depth)
        return self._of_type(schema, name, depth)

    def _one_of(self, options: list[Schema], name: str, depth: int) -> Any:
        real = [option for option in options if option.get("type") != "null"]
        return self.of(real[0], name, depth) if real and depth < _DEPTH else None

    def _of_type(self, schema: Schema, name: str, depth: int) -> Any:
        kind = schema.get("type", "object")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind == "string":
            return _text(schema, name)
        if kind in ("integer", "number"):
            return _number(schema)
        if kind == "boolean":
            return schema.get("default", False)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "object":
            return self._object(schema, depth)
        return None

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        if name in _BY_NAME and isinstance(_BY_NAME[name], list):
            return list(_BY_NAME[name])
        if depth >= _DEPTH or not (self._whole or schema.get("minItems")):
            return []
        return [self.of(schema.get("items", {}), name, depth + 1)]

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        shown: dict[str, Any] = {}
        for name, child in schema.get("properties", {}).items():
            if name in required:
                shown[name] = self.of(child, name, depth + 1)
        return shown


def _text(schema: Schema, name: str) -> str:
    known = _BY_NAME.get(name)
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    if isinstance(known, str) and len(known) >= schema.get("minLength", 0):
        return known[: schema.get("maxLength", len(known))]
    if "default" in schema and isinstance(schema["default"], str):
        return schema["default"]
    return "x" * max(1, schema.get("minLength", 0)) if "pattern" in schema or schema.get("minLength") else "text"


def _number(schema: Schema) -> Any:
    if isinstance(schema.get("default"), (int, float)):
        return schema["default"]
    return schema.get("minimum", schema.get("exclusiveMinimum", 0) + (1 if "exclusiveMinimum" in schema else 0))
