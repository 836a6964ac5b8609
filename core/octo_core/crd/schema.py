"""From a pydantic model to a structural schema, the subset of OpenAPI v3 that a CRD may hold.

See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from typing import Any

from octo_core.domain.model import Model

_DROPPED = ("title", "additionalProperties", "const", "discriminator")


def structural(model: type[Model], *, defaults: bool) -> dict[str, Any]:
    """The structural schema of ``model``: references inlined, null alternatives removed.

    ``defaults`` false leaves out default values: a field that a provider's ``jobDefaults`` may still
    fill must stay absent when it was not said.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(schema, schema.get("$defs", {}), defaults=defaults)


def _convert(node: dict[str, Any], defs: dict[str, Any], *, defaults: bool) -> dict[str, Any]:
    if "$ref" in node:
        target = defs[node["$ref"].rsplit("/", 1)[1]]
        merged = {**target, **{k: v for k, v in node.items() if k != "$ref"}}
        return _convert(merged, defs, defaults=defaults)
    if "anyOf" in node:
        options = [option for option in node["anyOf"] if option.get("type") != "null"]
        if len(options) != 1:
            raise ValueError(f"a CRD field must have one type, not {options}")
        merged = {**options[0], **{k: v for k, v in node.items() if k not in ("anyOf", "default")}}
        return _convert(merged, defs, defaults=defaults)

    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {name: _convert(child, defs, defaults=defaults) for name, child in value.items()}
        elif key == "items" or (key == "additionalProperties" and isinstance(value, dict)):
            out[key] = _convert(value, defs, defaults=defaults)
        elif key == "default":
            if defaults and value is not None:
                # Of an object it is enough that it is there: its fields bring their own defaults.
                out[key] = {} if isinstance(value, dict) else value
        elif key == "propertyNames" or key.startswith("$") or key in _DROPPED:
            continue
        else:
            out[key] = value
    if out.get("type") == "integer":
        out["format"] = "int64"
    if "description" in out:
        out["description"] = " ".join(str(out["description"]).split())
    return out
