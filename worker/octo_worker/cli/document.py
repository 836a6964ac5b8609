"""Reads an OctoProvider from a YAML file as strictly as the API server would, and says what is wrong where."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from octo_core.crd.schema import structural
from octo_core.domain.failure import Category
from octo_core.domain.names import API_VERSION, GROUP
from octo_core.domain.provider import OctoProviderSpec
from octo_worker.failure import Failed

_KIND = "OctoProvider"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_SHOWN = 10
"""Errors that are shown at once; more help nobody."""


@dataclass(frozen=True, slots=True)
class ProviderDocument:
    """An OctoProvider as it stands in a file."""

    name: str
    spec: OctoProviderSpec


def read_provider(file: Path, name: str | None) -> ProviderDocument:
    """The OctoProvider of a file, by ``name`` if there are several. Other kinds in it are passed over."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise _wrong(f"{file}: cannot be read: {why}. Name the file of an OctoProvider with --provider.") from None
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _wrong(f"{file}{where}: not YAML: {getattr(error, 'problem', None) or 'it cannot be parsed'}") from None
    return _checked(file, _chosen(file, documents, name))


def _chosen(file: Path, documents: list[Any], name: str | None) -> dict[str, Any]:
    providers = [document for document in documents if isinstance(document, dict) and document.get("kind") == _KIND]
    if not providers:
        raise _wrong(f"{file}: holds no document with `kind: {_KIND}`; write one as for kubectl")
    names = [_name_of(provider) or "(without a name)" for provider in providers]
    if name is not None:
        providers = [provider for provider in providers if _name_of(provider) == name]
        if not providers:
            raise _wrong(f"{file}: no OctoProvider is named {name}; there is {', '.join(names)}")
    if len(providers) > 1:
        raise _wrong(f"{file}: holds several OctoProviders ({', '.join(names)}); choose one with --name")
    return providers[0]


def _checked(file: Path, document: dict[str, Any]) -> ProviderDocument:
    version, name = document.get("apiVersion"), _name_of(document)
    problems = []
    if version != API_VERSION:
        hint = "a newer or older Octo" if str(version).startswith(f"{GROUP}/") else "something else"
        problems.append(f"apiVersion: must be {API_VERSION}; {version!r} is {hint}")
    if name is None:
        problems.append("metadata.name: is missing; give the provider a name")
    elif not _NAME.fullmatch(name) or len(name) > 63:
        problems.append("metadata.name: must be at most 63 lower-case letters, digits, `-` and `.`")
    unknown = sorted(set(document) - {"apiVersion", "kind", "metadata", "spec", "status"})
    problems += [f"{key}: is not a field here{_alike(key, ['metadata', 'spec'])}" for key in unknown]
    spec = None
    try:
        # By way of JSON, whose types are the API server's: a quoted number is no number.
        spec = OctoProviderSpec.model_validate_json(json.dumps(document.get("spec") or {}, default=str), strict=True)
    except ValidationError as error:
        # Without the input: somebody may have written a password where none belongs.
        schema = structural(OctoProviderSpec, defaults=True)
        found = error.errors(include_url=False, include_input=False)
        # A list with a bad item is also "too short" without it: what is said of the parts is enough.
        inner = {item["loc"][:depth] for item in found for depth in range(len(item["loc"]))}
        problems += [_explained(item, schema) for item in found if item["loc"] not in inner]
    if problems or spec is None or name is None:
        more = [f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise _wrong("\n".join(f"{file}: {line}" for line in [*problems[:_SHOWN], *more]))
    return ProviderDocument(name, spec)


def _name_of(document: dict[str, Any]) -> str | None:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return None if name is None else str(name)


def _explained(error: ErrorDetails, schema: dict[str, Any]) -> str:
    """One line: the field's path, what is wrong with it, and what it is for."""
    path, node, siblings = "spec", schema, list(schema.get("properties", {}))
    for part in error["loc"]:
        if isinstance(part, int):
            path, node = f"{path}[{part}]", node.get("items", {})
        else:
            path, siblings = f"{path}.{part}", list(node.get("properties", {}))
            node = node.get("properties", {}).get(part, {})
    if error["type"] == "missing":
        problem = "is missing; add it"
    elif error["type"] == "extra_forbidden":
        return f"{path}: is not a field here{_alike(str(error['loc'][-1]), siblings)}"
    else:
        problem = error["msg"].removeprefix("Value error, ")
    about = node.get("description", "") if node is not schema else ""
    return f"{path}: {problem}{f' ({about})' if about else ''}"


def _alike(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}" if known else "; remove it"


def _wrong(message: str) -> Failed:
    return Failed(Category.CONFIG, message)
