"""When a schedule fires: cron expressions on the wall clock of a time zone, with its skipped and doubled hours.

An expression with a fixed time (neither its minute nor its hour begins with ``*``) means "once for each such
time on the wall clock": a time that a clock change skips fires at the first moment after the gap, and one that
the clock shows twice fires the first time only. Any other expression means "whenever the clock shows this": a
skipped time does not fire and a doubled one fires twice, so that intervals stay even. Both are what the cron of
Debian does. The time zone data are those of the pinned ``tzdata`` distribution, whatever the machine has.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = 5
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_LOOK_BACK = (timedelta(hours=1), _DAY, timedelta(days=32), timedelta(days=366), timedelta(days=9 * 366))


class CalendarError(ValueError):
    """A schedule that cannot be reckoned with. ``field`` is ``cron`` or ``timeZone``."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def fire_times(cron: str, time_zone: str, *, after: datetime) -> Iterator[datetime]:
    """The moments after ``after`` (aware) at which ``cron`` fires in ``time_zone``, in UTC, in order, without end.

    ``cron`` has five fields (minute, hour, day of month, month, day of week) or is one of ``MACROS``. Ends only
    where an expression has no time in the next 50 years. Raises CalendarError, at once and not while iterating.
    """
    zone = load_zone(time_zone)
    expression = MACROS.get(cron.strip().lower(), cron)
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise CalendarError("cron", f"must have 5 fields or be one of {', '.join(MACROS)}, not {cron!r}")
    try:
        CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 - the wall clock: a zone is put to it below
    except CronSimError as error:
        raise CalendarError("cron", f"{error} in {cron!r}".replace("Bad ", "bad ")) from error
    fixed = not fields[0].startswith("*") and not fields[1].startswith("*")
    return (_at_fixed_times if fixed else _at_matches)(expression, zone, after.astimezone(UTC))


def next_fire(cron: str, time_zone: str, *, after: datetime) -> datetime:
    """The first moment after ``after``. Raises CalendarError, also for an expression that never fires."""
    moment = next(fire_times(cron, time_zone, after=after), None)
    if moment is None:
        raise CalendarError("cron", f"{cron!r} never comes true")
    return moment


def latest_fire(cron: str, time_zone: str, *, after: datetime, until: datetime) -> datetime | None:
    """The last moment after ``after`` and not after ``until``, or None. Its cost does not grow with what lies
    between the two. Raises CalendarError."""
    for span in _LOOK_BACK:
        start = max(after, until - span)
        moments = takewhile(lambda moment: moment <= until, fire_times(cron, time_zone, after=start))
        last = max(moments, default=None)
        if last is not None or start == after:
            return last
    return None


@lru_cache(maxsize=128)
def load_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises CalendarError."""
    data = resources.files("tzdata")
    if name not in data.joinpath("zones").read_text(encoding="ascii").split():
        raise CalendarError("timeZone", f"{name!r} is not a time zone of the IANA database (tzdata)")
    with data.joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _at_fixed_times(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    last = after
    for wall in CronSim(expression, _wall(after, zone)):
        moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if _wall(moment, zone) != wall:  # skipped: reckoned by the offset before the gap, so it lies past the gap
            moment = _change(zone, moment - 2 * _DAY, moment) or moment
        if moment > last:
            yield moment
            last = moment


def _at_matches(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    start, offset = after, _offset(after, zone)
    walls = CronSim(expression, _wall(after, zone))
    while (wall := next(walls, None)) is not None:
        moment = wall.replace(tzinfo=UTC) - offset
        change = _change(zone, start, moment)
        if change is None:
            yield moment
            start = moment
        else:  # the clock shows another time from there on; the moment of the change itself may match
            start, offset = change, _offset(change, zone)
            walls = CronSim(expression, _wall(change, zone) - _SECOND)


def _change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The first moment in (start, end] with another offset than ``start``, given that none lasts less than a day."""
    offset, low = _offset(start, zone), start
    while low < end:
        high = min(low + _DAY, end)
        if _offset(high, zone) != offset:
            while high - low > _SECOND:
                middle = (low + (high - low) / 2).replace(microsecond=0)
                low, high = (low, middle) if _offset(middle, zone) != offset else (middle, high)
            return high
        low = high
    return None


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).replace(tzinfo=UTC) - moment


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
