"""The reference page of the custom resources. ``python -m octo_core.crd.reference FILE`` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from octo_core.crd.definitions import job_changes, octojobs, octoproviders
from octo_core.crd.schema import structural
from octo_core.domain.job import OctoJobSpec
from octo_core.domain.provider import OctoProviderSpec

Schema = dict[str, Any]


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """Every field below an object schema: dotted path, its schema, whether it is required."""
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, child, name in required
        if child.get("type") == "object":
            yield from fields(child, here)
        elif child.get("type") == "array":
            yield from fields(child["items"], f"{here}[]")


def _limits(schema: Schema) -> str:
    words = []
    if "enum" in schema:
        words.append(", ".join(f"`{value}`" for value in schema["enum"]))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        words.append(f"{'' if low is None else low} … {'' if high is None else high}".strip())
    for key, unit in (("maxLength", "characters"), ("maxItems", "entries"), ("maxProperties", "entries")):
        if key in schema:
            words.append(f"at most {schema[key]} {unit}")
    if "default" in schema and schema["default"] not in ({}, []):
        words.append(f"default `{schema['default']}`")
    return "; ".join(words)


def page() -> str:
    """The whole page, as Markdown."""
    lines = [
        "# Custom resources",
        "",
        "Made from the models in `octo_core.domain` by `make crds`. `kubectl explain` shows the same.",
    ]
    for definition, spec in ((octojobs(), OctoJobSpec), (octoproviders(), OctoProviderSpec)):
        version = definition["spec"]["versions"][0]
        schema = version["schema"]["openAPIV3Schema"]
        group, names = definition["spec"]["group"], definition["spec"]["names"]
        lines += [
            "",
            f"## {names['kind']}",
            "",
            f"`{group}/{version['name']}`, short name `{names['shortNames'][0]}`. {schema['description']}",
        ]
        for part in ("spec", "status"):
            lines += [
                "",
                f"### {names['kind']}.{part}",
                "",
                "| Field | Type | Meaning | Limits |",
                "| --- | --- | --- | --- |",
            ]
            # With the defaults that the CRD leaves out of what a provider's jobDefaults may fill.
            shown = structural(spec, defaults=True) if part == "spec" else schema["properties"][part]
            for path, child, required in fields(shown):
                mark = " (required)" if required and part == "spec" else ""
                meaning = child.get("description", "").replace("|", "\\|")
                lines.append(f"| `{path}`{mark} | {child.get('type', 'any')} | {meaning} | {_limits(child)} |")
        said = [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]
        if spec is OctoJobSpec:
            said += [message for _, message in job_changes()]
        else:
            said += [rule["message"] for rule in schema["properties"]["spec"]["x-kubernetes-validations"]]
        lines += ["", "Rules the API server holds:", "", *(f"- {message}" for message in said)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
