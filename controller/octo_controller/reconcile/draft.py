"""A status in the making: what changes of the last one, with conditions that keep their transition times."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from octo_controller.reconcile.model import Action, Observed, Plan
from octo_core.domain.failure import Category
from octo_core.domain.states import derive_state
from octo_core.domain.status import (
    MAX_ATTEMPTS_KEPT,
    MAX_MESSAGE_LENGTH,
    Attempt,
    Condition,
    ConditionStatus,
    ConditionType,
    OctoJobStatus,
)

STATUS_LIMIT_BYTES = 16 * 1024

HELD = "Suspended"
"""Reason of an attempt that was ended because the run was suspended."""

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

_FIRST: dict[ConditionType, tuple[ConditionStatus, str]] = {
    ConditionType.ACCEPTED: (UNKNOWN, "Pending"),
    ConditionType.ADMITTED: (FALSE, "Pending"),
    ConditionType.RUNNING: (FALSE, "NotStarted"),
    ConditionType.SUCCEEDED: (UNKNOWN, "Pending"),
    ConditionType.FINISHED: (FALSE, "Pending"),
    ConditionType.SUSPENDED: (FALSE, "NotSuspended"),
    ConditionType.ARCHIVED: (UNKNOWN, "Pending"),
    ConditionType.STALLED: (FALSE, "Progressing"),
}


def clip(text: str, limit: int = MAX_MESSAGE_LENGTH) -> str:
    """At most ``limit`` characters of a text, in one line's worth of spaces."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Draft:
    """Collects actions and changes of status; ``plan`` puts them together."""

    def __init__(self, seen: Observed, now: datetime) -> None:
        self.seen = seen
        self.now = now
        self.actions: list[Action] = []
        self.requeue_after: float | None = None
        self._before = seen.job.status
        self._changes: dict[str, Any] = {}
        self._attempts = {attempt.number: attempt for attempt in self._before.attempts}
        known = {condition.type: condition for condition in self._before.conditions}
        self._conditions: dict[ConditionType, tuple[ConditionStatus, str, str]] = {}
        for kind, (status, reason) in _FIRST.items():
            old = known.get(kind)
            self._conditions[kind] = (old.status, old.reason, old.message) if old else (status, reason, "")

    def say(
        self, kind: ConditionType, status: ConditionStatus, reason: str, message: str = "", *, steady: bool = False
    ) -> None:
        """Set a condition. ``steady`` keeps the old message where status and reason stay, for words that
        differ at each look and are not worth a write."""
        old = self._conditions[kind]
        if steady and old[:2] == (status, reason):
            return
        self._conditions[kind] = (status, reason, clip(message))

    def progressing(self, reason: str, message: str = "", *, steady: bool = False) -> None:
        """The run is not over; ``reason`` is what it is about, and shows in the Reason column."""
        self.say(ConditionType.SUCCEEDED, UNKNOWN, reason, message, steady=steady)
        self.say(ConditionType.FINISHED, FALSE, reason)

    def change(self, **fields: Any) -> None:
        """Set fields of the status."""
        self._changes.update(fields)

    def record(self, attempt: Attempt) -> None:
        """Write down an attempt, over what stood under its number."""
        self._attempts[attempt.number] = attempt

    def attempt(self, number: int) -> Attempt | None:
        """What is written down of an attempt."""
        return self._attempts.get(number)

    def failures(self) -> int:
        """How many attempts failed so far: those that ended because the run was held do not count."""
        ended = (attempt for attempt in self._attempts.values() if attempt.completion_time is not None)
        return sum(attempt.category is not None and not _was_held(attempt) for attempt in ended)

    def since(self, kind: ConditionType, status: ConditionStatus) -> datetime:
        """Since when a condition has had a status: now, if it has not got it yet."""
        for condition in self._before.conditions:
            if condition.type == kind and condition.status is status:
                return condition.last_transition_time
        return self.now

    def look_again(self, seconds: float) -> None:
        """Visit again in ``seconds`` at the latest."""
        seconds = max(seconds, 1.0)
        self.requeue_after = seconds if self.requeue_after is None else min(self.requeue_after, seconds)

    def plan(self, *, ending: bool) -> Plan:
        """The plan; ``ending`` says that the run's end was asked for and is not reached yet."""
        generation = self.seen.job.meta.generation
        before = {condition.type: condition for condition in self._before.conditions}
        conditions = []
        for kind, (status, reason, message) in self._conditions.items():
            old = before.get(kind)
            said = (status, reason, message, generation)
            if old and (old.status, old.reason, old.message, old.observed_generation) == said:
                conditions.append(old)  # As most of them are, at most visits.
                continue
            since = old.last_transition_time if old and old.status is status else self.now
            conditions.append(
                Condition(
                    type=kind.value,
                    status=status,
                    reason=reason,
                    message=message,
                    last_transition_time=since,
                    observed_generation=generation,
                )
            )
        status_now = self._before.model_copy(
            update={
                **self._changes,
                "observed_generation": generation,
                "attempts": tuple(self._attempts[number] for number in sorted(self._attempts)[-MAX_ATTEMPTS_KEPT:]),
                "conditions": tuple(conditions),
                "state": derive_state(conditions, ending=ending),
            }
        )
        return Plan(tuple(self.actions), fit(status_now), self.requeue_after)


def _was_held(attempt: Attempt) -> bool:
    # By both: a worker's word may be the same, and is never Cancelled unless the run's end was asked for.
    return attempt.category is Category.CANCELLED and attempt.reason == HELD


def fit(status: OctoJobStatus) -> OctoJobStatus:
    """The status in at most 16 KiB: logs of the oldest attempts go first, then their messages."""
    attempts = list(status.attempts)
    if not any(attempt.log_tail or attempt.message for attempt in attempts):
        return status
    for field in ("log_tail", "message"):
        for index, attempt in enumerate(attempts):
            if len(status.model_dump_json(by_alias=True, exclude_none=True).encode()) <= STATUS_LIMIT_BYTES:
                return status
            attempts[index] = attempt.model_copy(update={field: None})
            status = status.model_copy(update={"attempts": tuple(attempts)})
    return status
