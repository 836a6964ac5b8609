"""The smallest merge patch from one status to another."""

from __future__ import annotations

from typing import Any

from octo_core.domain.model import Model
from octo_core.domain.status import OctoJobStatus

Raw = dict[str, Any]


def status_patch(before: Model, after: Model) -> Raw:
    """Only what differs; empty if nothing does."""
    if before == after:
        return {}
    return merge_patch(_dump(before), _dump(after))


def only_tells(before: OctoJobStatus, after: OctoJobStatus) -> bool:
    """Whether the change only tells people something: nothing has begun or ended, and no later decision goes by it."""
    if before.state is None or before.state.terminal or after.state is None or after.state.terminal:
        return False
    return _turns(before) == _turns(after)


def _turns(status: OctoJobStatus) -> object:
    attempts = [(a.number, a.job_uid, a.completion_time, a.category, a.reason) for a in status.attempts]
    return attempts, status.next_attempt_time


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
