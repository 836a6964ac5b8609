"""What of a change of status is worth an Event: troubles, and how a run ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from octo_controller.reconcile.draft import clip
from octo_core.domain.causes import CAUSES
from octo_core.domain.status import Condition, ConditionStatus, ConditionType, OctoJobStatus, State

NOTE_LENGTH = 500


class Type(StrEnum):
    """Of an Event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Announcement:
    """An Event about an OctoJob. The same words again are the same Event, once more."""

    type: Type
    reason: str
    note: str


def announcements(before: OctoJobStatus, after: OctoJobStatus) -> tuple[Announcement, ...]:
    """What ``after`` tells that ``before`` did not. At most one or two: a healthy run has one in all."""
    found: list[Announcement] = []
    for kind, bad in (
        (ConditionType.ACCEPTED, ConditionStatus.FALSE),
        (ConditionType.RUNNING, ConditionStatus.FALSE),
        (ConditionType.STALLED, ConditionStatus.TRUE),
    ):
        now = after.condition(kind)
        if now is None or now.status is not bad or _same(before.condition(kind), now):
            continue
        if kind is ConditionType.STALLED:
            found.append(_warning("Stalled", now.message))
        elif now.reason in CAUSES and now.message:
            # Without words it only says that there is no pod yet.
            found.append(_warning(now.reason, now.message))
    if after.state is not None and after.state.terminal:
        if before.state is None or not before.state.terminal:
            found.append(_end(after))
    else:
        over = {attempt.number for attempt in before.attempts if attempt.completion_time is not None}
        found.extend(
            _warning("AttemptFailed", _said(attempt.reason, attempt.message))
            for attempt in after.attempts
            if attempt.number not in over and attempt.completion_time is not None and attempt.category is not None
        )
    return tuple(found)


def _end(status: OctoJobStatus) -> Announcement:
    succeeded = status.condition(ConditionType.SUCCEEDED)
    said = _said(succeeded.reason, succeeded.message) if succeeded else ""
    if status.state is State.FAILED:
        resolution = status.failure.resolution if status.failure else ""
        return _warning("Failed", f"{said}. {resolution}" if resolution else said)
    if status.state is State.SUCCEEDED and status.progress is not None:
        said = f"{said} ({status.progress.files_done} of {status.progress.files_selected} files)"
    return Announcement(Type.NORMAL, str(status.state), clip(said, NOTE_LENGTH))


def _same(before: Condition | None, now: Condition) -> bool:
    return before is not None and (before.status, before.reason) == (now.status, now.reason)


def _said(reason: str | None, message: str | None) -> str:
    return f"{reason}: {message}" if reason and message else reason or message or ""


def _warning(reason: str, note: str) -> Announcement:
    return Announcement(Type.WARNING, reason, clip(note or reason, NOTE_LENGTH))
