"""What text may not be in a document."""

from __future__ import annotations

from typing import Any


def has_nul(value: Any) -> bool:
    """Whether a NUL character, which Postgres cannot hold, stands anywhere in a JSON value."""
    if isinstance(value, dict):
        return any("\0" in key or has_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(has_nul(item) for item in value)
    return isinstance(value, str) and "\0" in value
