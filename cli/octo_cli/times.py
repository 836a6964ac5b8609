"""Times and durations, as they are written on a command line and shown in a table."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(?:\d+[smhdw])+")


def seconds_of(text: str) -> int:
    """``90s``, ``1h30m``, ``7d``, or seconds. Raises ValueError."""
    if text.isdecimal():
        return int(text)
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 90s, 10m, 1h30m or 7d")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhdw])", text))


class Duration(click.ParamType[int]):
    """A parameter that is a duration, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds."""
        try:
            return value if isinstance(value, int) else seconds_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[datetime]):
    """A parameter that is a time: RFC 3339, a date (its beginning, UTC), or a duration before now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware time."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            try:
                return datetime.now(UTC) - timedelta(seconds=seconds_of(value))
            except ValueError:
                self.fail(
                    f"{value!r} is neither a time such as 2026-01-31T06:00:00Z nor a duration such as 2h", param, ctx
                )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


DURATION, MOMENT = Duration(), Moment()


def short(span: timedelta) -> str:
    """``45s``, ``12m``, ``3h``, ``5d``: two units at most, as kubectl shows ages."""
    seconds = max(int(span.total_seconds()), 0)
    if seconds < 120:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 120:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 8:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"
