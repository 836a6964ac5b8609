"""The smallest merge patch from one status to another."""

from __future__ import annotations

from typing import Any

from octo_core.domain.model import Model

Raw = dict[str, Any]


def status_patch(before: Model, after: Model) -> Raw:
    """Only what differs; empty if nothing does."""
    if before == after:
        return {}
    return merge_patch(_dump(before), _dump(after))


def merge_patch(before: Raw, after: Raw) -> Raw:
    """RFC 7396: changed fields with their value, vanished ones with null; a list is replaced as a whole."""
    patch: Raw = {key: None for key in before if key not in after}
    for key, value in after.items():
        known = before.get(key)
        if known == value:
            continue
        patch[key] = merge_patch(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return patch


def _dump(status: Model) -> Raw:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
