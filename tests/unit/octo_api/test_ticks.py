"""Which ticks a request is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from octo_api.schedules.ticks import MAX_TICKS, coming, ticks_between
from octo_core.domain.errors import InvalidError
from octo_core.domain.schedule import Schedule

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOURLY = Schedule(cron="@hourly")
HOUR = timedelta(hours=1)


def test_those_to_come() -> None:
    assert coming(HOURLY, after=NOON, count=2) == [NOON + HOUR, NOON + 2 * HOUR]
    assert coming(None, after=NOON, count=2) == []
    assert coming(Schedule(cron="@hourly", suspend=True), after=NOON, count=2) == []
    assert coming(Schedule(cron="99 * * * *"), after=NOON, count=2) == []


def test_a_span_has_its_start_and_not_its_end() -> None:
    assert ticks_between(HOURLY, start=NOON, end=NOON + 2 * HOUR, now=NOON + 9 * HOUR) == [NOON, NOON + HOUR]
    assert ticks_between(HOURLY, start=NOON + timedelta(seconds=1), end=NOON + HOUR, now=NOON + HOUR) == []


def test_limits() -> None:
    enough = NOON + MAX_TICKS * HOUR
    assert len(ticks_between(HOURLY, start=NOON, end=enough, now=enough)) == MAX_TICKS
    for start, end, now in (
        (NOON, enough + HOUR, enough + HOUR),
        (NOON, NOON + HOUR, NOON),
    ):
        with pytest.raises(InvalidError) as error:
            ticks_between(HOURLY, start=start, end=end, now=now)
        assert error.value.fields[0][0] == "/end"
