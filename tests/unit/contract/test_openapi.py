"""The OpenAPI document is valid, says enough of everything, and is the committed one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from octo_api.contract.__main__ import openapi_text
from octo_api.contract.problems import page, problem_types
from octo_api.errors import TYPE_BASE

ROOT = Path(__file__).parents[3]
STALE = "run `make api` and commit what it writes"
TEXT = openapi_text()
DOCUMENT: dict[str, Any] = json.loads(TEXT)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def complaints(document: dict[str, Any]) -> list[str]:
    """What a reader of the document would miss."""
    found = []
    ids: list[str] = []
    for name, operation in operations(document):
        ids.append(operation.get("operationId", ""))
        found += [
            f"{name}: no {what}"
            for what in ("operationId", "summary", "description", "tags")
            if not operation.get(what)
        ]
        found += [
            f"{name}: parameter {parameter['name']} has no description"
            for parameter in operation.get("parameters", ())
            if not parameter.get("description")
        ]
        bodies = [("request", operation.get("requestBody", {}))]
        bodies += [(status, answer) for status, answer in operation["responses"].items() if "$ref" not in answer]
        for where, body in bodies:
            found += [
                f"{name}: {where} {media_type} has no example"
                for media_type, described in body.get("content", {}).items()
                if media_type.endswith("json") and "example" not in described
            ]
    found += [f"two models are called {name}" for name in document["components"]["schemas"] if "__" in name]
    found += [f"operationId {one} is not unique" for one in set(ids) if ids.count(one) > 1]
    found += [
        f"schema {name} has no description"
        for name, schema in document["components"]["schemas"].items()
        if not schema.get("description")
    ]
    return found


def test_it_is_valid() -> None:
    validate(DOCUMENT)


def test_it_says_enough() -> None:
    assert complaints(DOCUMENT) == []


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda op: op.pop("description"), "POST /v1/providers: no description"),
        (lambda op: op.pop("operationId"), "POST /v1/providers: no operationId"),
        (
            lambda op: op["requestBody"]["content"]["application/json"].pop("example"),
            "POST /v1/providers: request application/json has no example",
        ),
        (
            lambda op: op["parameters"][0].pop("description"),
            "POST /v1/providers: parameter dryRun has no description",
        ),
    ],
)
def test_what_is_missing_is_noticed(spoil: Any, complaint: str) -> None:
    document = json.loads(TEXT)
    spoil(document["paths"]["/v1/providers"]["post"])
    assert complaint in complaints(document)


def test_every_example_matches_its_schema() -> None:
    schemas = {"components": {"schemas": DOCUMENT["components"]["schemas"]}}
    for name, operation in operations(DOCUMENT):
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            for described in body.get("content", {}).values():
                if "example" in described and "schema" in described:
                    errors = OAS31Validator({**described["schema"], **schemas}).iter_errors(described["example"])
                    assert [f"{list(error.path)}: {error.message}" for error in errors] == [], name


def test_it_is_the_committed_one() -> None:
    assert (ROOT / "api" / "openapi" / "openapi.json").read_text() == TEXT, STALE
    assert (ROOT / "docs" / "reference" / "problems.md").read_text() == page(), STALE


def test_problem_types_are_told_apart() -> None:
    types = problem_types()
    codes = [problem.code for problem in types]
    assert len(set(codes)) == len(codes) > 15
    for problem in types:
        assert problem.meaning
        assert f'<a id="{problem.code}"></a>' in page()
    for status, response in DOCUMENT["components"]["responses"].items():
        example = response["content"]["application/problem+json"].get("example")
        if example is not None:
            assert example["status"] == int(status)
            assert example["type"] == TYPE_BASE + example["code"]
