"""RFC 7396 as an API server applies it."""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]


def merged(before: Raw, patch: Raw) -> Raw:
    """The document after the merge patch."""
    after = dict(before)
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        elif isinstance(value, dict):
            after[key] = merged(after.get(key) or {}, value)
        else:
            after[key] = value
    return after
