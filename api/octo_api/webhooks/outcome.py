"""What an answer means for a delivery. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from octo_api.webhooks.schedule import next_wait
from octo_api.webhooks.sender import Answer
from octo_core.db.webhook_deliveries import DeliveryState

GONE = 410


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a delivery stands after a try."""

    state: DeliveryState
    error: str | None = None
    wait: timedelta | None = None
    gone: bool = False
    """Whether the endpoint asked not to be told any more."""


def judge(answer: Answer, *, attempts: int, chance: float, retried: bool = True) -> Verdict:
    """Delivered by any 2xx; else tried again by the schedule, unless that is over or the endpoint is gone."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Verdict(DeliveryState.DELIVERED)
    error = answer.error or f"answered {answer.status}"
    if answer.status is not None and 300 <= answer.status < 400:
        error += ", and redirects are not followed"
    if answer.status == GONE:
        return Verdict(DeliveryState.FAILED, error, gone=True)
    wait = next_wait(attempts, chance=chance, retry_after=answer.retry_after) if retried else None
    return Verdict(DeliveryState.FAILED if wait is None else DeliveryState.PENDING, error, wait)
