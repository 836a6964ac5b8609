"""When a message is tried again. Pure."""

from __future__ import annotations

from datetime import timedelta

WAITS: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Between one try and the next, as Standard Webhooks proposes: ten tries in about three days."""

JITTER = 0.2
_LONGEST_ASKED = timedelta(hours=1)


def next_wait(attempts: int, *, chance: float, retry_after: float | None = None) -> timedelta | None:
    """How long to wait after so many tries; None if that was the last.

    ``chance`` in [0, 1) spreads tries that failed together. ``retry_after`` are the seconds that the endpoint
    asked for, which makes the wait longer, up to an hour.
    """
    if attempts > len(WAITS):
        return None
    wait = WAITS[attempts - 1] * (1 - JITTER + 2 * JITTER * chance)
    asked = min(timedelta(seconds=max(retry_after or 0.0, 0.0)), _LONGEST_ASKED)
    return max(wait, asked)
