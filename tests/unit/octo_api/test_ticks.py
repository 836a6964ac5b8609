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


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_the_ends_of_the_calendar(zone: str) -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    for cron in ("@hourly", "0 3 * * *", "0 0 29 2 *"):
        schedule = Schedule(cron=cron, time_zone=zone)
        assert len(coming(schedule, after=first, count=2)) == 2
        assert coming(schedule, after=last, count=2) == []
        with pytest.raises(InvalidError):
            ticks_between(schedule, start=first, end=NOON, now=NOON)
