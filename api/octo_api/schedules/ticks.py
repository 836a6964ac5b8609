"""The ticks of a schedule that a request is about. Pure."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice

from octo_core.domain.calendar import CalendarError, fire_times
from octo_core.domain.errors import InvalidError
from octo_core.domain.schedule import Schedule

MAX_TICKS = 100
_SECOND = timedelta(seconds=1)
# Before any tick, and so late that each time zone has a time for it.
_EARLIEST = datetime(2, 1, 1, tzinfo=UTC)


def coming(schedule: Schedule | None, *, after: datetime, count: int) -> list[datetime]:
    """The next ``count`` ticks; none without a schedule, or while it is suspended or not valid."""
    if schedule is None or schedule.suspend:
        return []
    found: list[datetime] = []
    # Not valid, or the calendar ends there.
    with suppress(ValueError, OverflowError):
        found.extend(islice(fire_times(schedule.cron, schedule.time_zone, after=max(after, _EARLIEST)), count))
    return found


def ticks_between(schedule: Schedule, *, start: datetime, end: datetime, now: datetime) -> list[datetime]:
    """All ticks from ``start`` on and before ``end``. Raises InvalidError for the future, or for too many."""
    if end > now:
        raise InvalidError("end lies in the future: those ticks fire by themselves", field="/end")
    found: list[datetime] = []
    try:
        for moment in fire_times(schedule.cron, schedule.time_zone, after=max(start, _EARLIEST) - _SECOND):
            if moment >= end:
                break
            if len(found) == MAX_TICKS:
                raise InvalidError(f"more than {MAX_TICKS} ticks lie between start and end; ask for less", field="/end")
            found.append(moment)
    except CalendarError as error:
        raise InvalidError(f"the schedule {error}") from error
    return found
