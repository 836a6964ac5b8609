"""A second calendar, by brute force: it looks at a clock once a minute, and shares with Octo's the zones' data only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache

from octo_core.domain.calendar import load_zone

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # by half an hour
    "America/Sao_Paulo",  # at midnight, until 2019
    "Africa/Cairo",  # at midnight, and again since 2023
    "Asia/Beirut",
    "America/Havana",
    "Africa/Casablanca",  # twice more, around Ramadan
    "Antarctica/Troll",  # by two hours
    "Pacific/Chatham",  # a quarter past
    "Europe/Dublin",  # where winter is the exception
    "Pacific/Apia",  # which has no 30 December 2011
    "Asia/Kathmandu",  # never
)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Wanted:
    """What an expression asks for, as sets. ``either`` says that one of both days is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    fixed: bool

    def on(self, day: date) -> bool:
        by_number, by_name = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        return day.month in self.months and (by_number or by_name if self.either else by_number and by_name)

    def at(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self.on(wall.date())


@dataclass(frozen=True)
class Window:
    """Some days of a clock, minute by minute."""

    zone: str
    start: datetime
    days: int

    @cached_property
    def minutes(self) -> list[tuple[datetime, datetime]]:
        zone = load_zone(self.zone)
        moments = (self.start + number * MINUTE for number in range(self.days * 1440))
        return [(moment, moment.astimezone(zone).replace(tzinfo=None, fold=0)) for moment in moments]

    @cached_property
    def shown(self) -> dict[datetime, datetime]:
        """When each time on the clock is shown first."""
        first: dict[datetime, datetime] = {}
        for moment, wall in self.minutes:
            first.setdefault(wall, moment)
        return first

    def fires(self, wanted: Wanted) -> list[datetime]:
        if not wanted.fixed:
            return [moment for moment, wall in self.minutes if wanted.at(wall)]
        moments = {self.shown[wall] for wall in self.shown if wanted.at(wall)}
        for (_, before), (moment, wall) in zip(self.minutes, self.minutes[1:], strict=False):
            skipped = (before + number * MINUTE for number in range(1, (wall - before) // MINUTE))
            if any(wanted.at(time) for time in skipped):
                moments.add(moment)
        return sorted(moments)


@lru_cache(maxsize=64)
def window(zone: str, start: datetime, days: int) -> Window:
    return Window(zone, start, days)


@lru_cache(maxsize=64)
def changes(zone: str) -> tuple[datetime, ...]:
    """The days (UTC) from 2008 to 2037 on which the clock of a zone changes."""
    info = load_zone(zone)
    found = []
    day = datetime(2008, 1, 1, tzinfo=UTC)
    while day.year < 2037:
        after = day + timedelta(days=1)
        if day.astimezone(info).utcoffset() != after.astimezone(info).utcoffset():
            found.append(day)
        day = after
    return tuple(found)
