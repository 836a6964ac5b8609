"""The one word of the State column, from the conditions of a run."""

from __future__ import annotations

from collections.abc import Iterable

from octo_core.domain.status import Condition, ConditionStatus, ConditionType, State

DELETED = "Deleted"
CLUSTER_LOST = "ClusterLost"
"""Of a run whose cluster is gone, in Postgres alone."""
CANCELLED_REASONS = ("Cancelled", "Replaced", DELETED)
"""Reasons of ``Succeeded=False`` with which a run was ended on request rather than failed."""

BACKING_OFF = "BackingOff"
WAITING_FOR_CONCURRENCY, WAITING_FOR_CAPACITY, WAITING_FOR_QUEUE = (
    "WaitingForConcurrency",
    "WaitingForCapacity",
    "WaitingForQueue",
)
"""Reasons of ``Admitted=False`` of a run that waits its turn: in its key, in the namespace, in Kueue's queue."""
WAITING_REASONS = (WAITING_FOR_CONCURRENCY, WAITING_FOR_CAPACITY, WAITING_FOR_QUEUE)


def derive_state(conditions: Iterable[Condition], *, ending: bool) -> State:
    """The state of a run with these conditions.

    ``ending`` says that its end was asked for (a cancel, a delete) and that something of it may still
    be there. A finished run stays what it is, whatever else is said of it.
    """
    seen = {condition.type: condition for condition in conditions}

    def holds(kind: ConditionType) -> bool:
        condition = seen.get(kind)
        return condition is not None and condition.status is ConditionStatus.TRUE

    def reason(kind: ConditionType) -> str:
        condition = seen.get(kind)
        return condition.reason if condition else ""

    if holds(ConditionType.FINISHED):
        if holds(ConditionType.SUCCEEDED):
            return State.SUCCEEDED
        return State.CANCELLED if reason(ConditionType.SUCCEEDED) in CANCELLED_REASONS else State.FAILED
    if ending:
        return State.CANCELLING
    if holds(ConditionType.SUSPENDED):
        return State.SUSPENDED
    if holds(ConditionType.RUNNING):
        return State.RUNNING
    if reason(ConditionType.RUNNING) == BACKING_OFF:
        return State.RETRYING
    if holds(ConditionType.ADMITTED):
        return State.STARTING
    return State.QUEUED if reason(ConditionType.ADMITTED) in WAITING_REASONS else State.PENDING
