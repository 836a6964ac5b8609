"""What an answer means for a delivery, and when it is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from octo_api.webhooks.outcome import judge
from octo_api.webhooks.schedule import WAITS, next_wait
from octo_api.webhooks.sender import Answer
from octo_core.db.webhook_deliveries import DeliveryState


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    verdict = judge(Answer(status=status), attempts=1, chance=0.5)
    assert (verdict.state, verdict.error, verdict.wait) == (DeliveryState.DELIVERED, None, None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=500), "answered 500"),
        (Answer(status=302), "answered 302, and redirects are not followed"),
        (Answer(status=400), "answered 400"),
        (Answer(error="no answer"), "no answer"),
    ],
)
def test_all_else_is_tried_again(answer: Answer, error: str) -> None:
    verdict = judge(answer, attempts=1, chance=0.5)
    assert (verdict.state, verdict.error, verdict.wait) == (DeliveryState.PENDING, error, timedelta(seconds=5))
    over = judge(answer, attempts=len(WAITS) + 1, chance=0.5)
    assert (over.state, over.wait, over.gone) == (DeliveryState.FAILED, None, False)
    assert judge(answer, attempts=1, chance=0.5, retried=False).state is DeliveryState.FAILED


def test_an_endpoint_that_is_gone_is_left_alone() -> None:
    verdict = judge(Answer(status=410), attempts=1, chance=0.5)
    assert (verdict.state, verdict.gone, verdict.wait) == (DeliveryState.FAILED, True, None)


def test_waits_grow_and_spread_and_heed_what_is_asked() -> None:
    for attempts, wait in enumerate(WAITS, 1):
        assert next_wait(attempts, chance=0.0) == wait * 0.8
        assert next_wait(attempts, chance=0.999999) < wait * 1.2  # type: ignore[operator] # there is one
    assert next_wait(1, chance=0.5, retry_after=120) == timedelta(seconds=120)
    assert next_wait(1, chance=0.5, retry_after=10**6) == timedelta(hours=1)
    assert next_wait(4, chance=0.5, retry_after=1) == timedelta(hours=2)
    assert next_wait(len(WAITS) + 1, chance=0.5, retry_after=5) is None
