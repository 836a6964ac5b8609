"""The YAML in crds/ is what the models say, and keeps to what a CRD may hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from octo_core.crd.definitions import octojobs, octoproviders, write
from octo_core.crd.reference import page
from octo_core.domain.job import OctoJobSpec

ROOT = Path(__file__).parents[4]


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "type" in node and isinstance(node["type"], str):
            yield node
        for child in node.values():
            yield from schemas(child)


def test_the_yaml_in_the_repo_is_what_the_models_say(tmp_path: Path) -> None:
    for made in write(tmp_path):
        assert made.read_text() == (ROOT / "crds" / made.name).read_text(), "run `make crds`"


@pytest.mark.parametrize("definition", [octojobs(), octoproviders()], ids=["OctoJob", "OctoProvider"])
def test_every_string_and_list_the_user_writes_is_bounded(definition: dict[str, Any]) -> None:
    """CEL's cost estimate needs bounds, and so does etcd."""
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for schema in schemas(spec):
        if schema["type"] == "array":
            assert "maxItems" in schema
        assert "anyOf" not in schema
        assert "$ref" not in schema


def test_an_octojob_field_is_immutable_unless_listed() -> None:
    spec = octojobs()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    (rule,) = spec["x-kubernetes-validations"]
    every = {field.alias or name for name, field in OctoJobSpec.model_fields.items()}
    guarded = {name for name in every if f"oldSelf.{name}" in rule["rule"]}
    assert every - guarded == {"suspend", "priority", "ttl"}
    named = {name for name in every if f"'{name} is immutable" in rule["messageExpression"]}
    assert guarded - named == {"cancel"}, "which has words of its own"


def test_a_write_that_leaves_the_spec_alone_is_asked_one_question_of_it() -> None:
    """A status is written several times in a run, and each rule costs the API server a fiftieth of that."""
    schema = octojobs()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    (rule,) = schema["properties"]["spec"]["x-kubernetes-validations"]
    assert rule["rule"].startswith("self == oldSelf || ")
    assert rule["rule"].count(" == oldSelf ") == 1


def test_an_octojob_has_no_defaults_that_would_hide_the_providers() -> None:
    assert [schema for schema in schemas(octojobs()) if "default" in schema] == []


def test_the_api_server_keeps_no_owners_of_parts_of_an_octojobs_status() -> None:
    status = octojobs()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert status["x-kubernetes-map-type"] == "atomic"


def test_columns_categories_and_selectable_fields() -> None:
    version = octojobs()["spec"]["versions"][0]
    names = [column["name"] for column in version["additionalPrinterColumns"] if "priority" not in column]
    assert names == ["State", "Reason", "Provider", "Attempt", "Files", "Age"]
    assert octojobs()["spec"]["names"]["shortNames"] == ["oj"]
    assert octojobs()["spec"]["names"]["categories"] == ["all", "octo"]
    assert [field["jsonPath"] for field in version["selectableFields"]] == [
        ".spec.providerRef.name",
        ".status.state",
        ".status.failure.category",
    ]


def test_the_reference_page_is_what_the_models_say() -> None:
    assert page() == (ROOT / "docs" / "reference" / "custom-resources.md").read_text(), "run `make crds`"
