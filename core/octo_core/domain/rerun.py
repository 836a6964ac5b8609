"""A run once more: what of its spec is said again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OF_THE_FIRST = ("cancel", "idempotency", "requestedBy", "rerunOf", "scheduleRef", "startAfter", "suspend")
"""Parts of a spec that speak of that very run, not of what it does."""


def repeated_spec(spec: Mapping[str, Any], *, name: str, uid: str) -> dict[str, Any]:
    """The spec of a run that repeats the one of this name and uid."""
    said = {key: value for key, value in spec.items() if key not in _OF_THE_FIRST}
    return {**said, "rerunOf": {"name": name, "uid": uid}}
