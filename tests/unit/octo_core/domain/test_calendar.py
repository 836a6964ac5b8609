"""When schedules fire, by hand for the cases that the documentation names, and beside a second calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.calendar import CalendarError, fire_times, latest_fire, load_zone, next_fire
from tests.unit.octo_core.domain.reference_calendar import ZONES, Wanted, changes, window


def local(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next times, as the clock of the zone shows them."""
    moments = islice(fire_times(cron, zone, after=datetime.fromisoformat(after)), count)
    return [moment.astimezone(load_zone(zone)).strftime("%d %H:%M %z") for moment in moments]


class TestFixedTimes:
    def test_a_skipped_time_fires_at_the_first_moment_after_the_gap(self) -> None:
        assert local("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", 3) == [
            "28 02:30 +0100",
            "29 03:00 +0200",
            "30 02:30 +0200",
        ]

    def test_several_skipped_times_fire_once(self) -> None:
        assert local("0,20,40 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00Z", 3) == [
            "29 03:00 +0200",
            "29 03:20 +0200",
            "29 03:40 +0200",
        ]

    def test_a_doubled_time_fires_the_first_time_only(self) -> None:
        assert local("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", 2) == ["25 02:30 +0200", "26 02:30 +0100"]

    def test_one_asked_in_the_second_pass_of_a_doubled_hour_is_not_given_the_past(self) -> None:
        # 01:15 UTC is 02:15 for the second time; 02:30 has been, at 00:30 UTC.
        assert local("30 2 * * *", "Europe/Berlin", "2026-10-25T01:15Z", 1) == ["26 02:30 +0100"]

    def test_a_midnight_that_does_not_exist(self) -> None:
        assert local("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00Z", 2) == ["24 01:00 +0300", "25 00:00 +0300"]

    def test_a_day_that_does_not_exist(self) -> None:
        assert local("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00Z", 3) == [
            "29 12:00 -1000",
            "31 00:00 +1400",
            "31 12:00 +1400",
        ]


class TestIntervals:
    def test_a_skipped_hour_does_not_fire(self) -> None:
        assert local("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", 3) == [
            "29 01:30 +0100",
            "29 03:00 +0200",
            "29 03:30 +0200",
        ]

    def test_a_doubled_hour_fires_twice(self) -> None:
        assert local("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", 4) == [
            "25 02:30 +0200",
            "25 02:00 +0100",
            "25 02:30 +0100",
            "25 03:00 +0100",
        ]

    def test_a_clock_that_changes_by_half_an_hour(self) -> None:
        assert local("0 */2 * * *", "Australia/Lord_Howe", "2026-04-04T13:30Z", 2) == [
            "05 02:00 +1030",
            "05 04:00 +1030",
        ]


class TestExpressions:
    @pytest.mark.parametrize(
        ("cron", "first"),
        [
            ("@hourly", "2026-01-01T01:00Z"),
            ("@daily", "2026-01-02T00:00Z"),
            ("@weekly", "2026-01-04T00:00Z"),
            ("@monthly", "2026-02-01T00:00Z"),
            ("@yearly", "2027-01-01T00:00Z"),
            ("0 6 * * mon-fri", "2026-01-01T06:00Z"),
            ("0 6 L * *", "2026-01-31T06:00Z"),
            ("0 6 * * MON#2", "2026-01-12T06:00Z"),
            ("0 6 13 * FRI", "2026-01-02T06:00Z"),
            ("0 6 29 2 *", "2028-02-29T06:00Z"),
        ],
    )
    def test_what_is_understood(self, cron: str, first: str) -> None:
        assert next_fire(cron, "UTC", after=datetime(2026, 1, 1, tzinfo=UTC)) == datetime.fromisoformat(first)

    @pytest.mark.parametrize(
        ("cron", "zone", "field", "says"),
        [
            ("61 * * * *", "UTC", "cron", "bad minute in '61 * * * *'"),
            ("* 24 * * *", "UTC", "cron", "bad hour"),
            ("* * * *", "UTC", "cron", "5 fields"),
            ("* * * * * *", "UTC", "cron", "5 fields"),
            ("@reboot", "UTC", "cron", "5 fields"),
            ("0 0 30 2 *", "UTC", "cron", "bad day-of-month"),
            ("0 0 */20 * 1L", "UTC", "cron", "never comes true"),
            ("* * * * *", "Mars/Olympus", "timeZone", "'Mars/Olympus' is not a time zone"),
            ("* * * * *", "../zones", "timeZone", "is not a time zone"),
        ],
    )
    def test_what_is_refused_names_its_field(self, cron: str, zone: str, field: str, says: str) -> None:
        with pytest.raises(CalendarError, match=says.replace("*", r"\*")) as caught:
            next_fire(cron, zone, after=datetime(2026, 1, 1, tzinfo=UTC))
        assert caught.value.field == field


class TestLatest:
    def test_of_many_missed_ticks_the_last(self) -> None:
        until = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
        assert latest_fire("* * * * *", "UTC", after=datetime(1990, 1, 1, tzinfo=UTC), until=until) == datetime(
            2026, 1, 1, tzinfo=UTC
        )

    def test_none_missed(self) -> None:
        until = datetime(2026, 1, 1, 5, 59, tzinfo=UTC)
        assert latest_fire("0 6 * * *", "UTC", after=until - timedelta(hours=20), until=until) is None

    def test_a_rare_one(self) -> None:
        until = datetime(2026, 1, 1, tzinfo=UTC)
        assert latest_fire("0 0 29 2 *", "UTC", after=datetime(2010, 1, 1, tzinfo=UTC), until=until) == datetime(
            2024, 2, 29, tzinfo=UTC
        )


@st.composite
def field(draw: st.DrawFn, low: int, high: int, *, starred: bool) -> tuple[str, frozenset[int]]:
    """A field as cron writes it, and the values that it stands for."""
    if starred:
        step = draw(st.sampled_from([1, 2, 3, 5, 7, 15, 20, 30]))
        return ("*" if step == 1 else f"*/{step}"), frozenset(range(low, high + 1, step))
    terms, values = [], set()
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.sampled_from([1, 1, 2, 5]))
        if draw(st.booleans()):
            terms.append(str(first))
            values.add(first)
        elif first < last:
            terms.append(f"{first}-{last}" if step == 1 else f"{first}-{last}/{step}")
            values |= set(range(first, last + 1, step)) if last - first >= step or step == 1 else {first}
    if not terms:
        return str(low), frozenset({low})
    return ",".join(terms), frozenset(values)


@st.composite
def expressions(draw: st.DrawFn) -> tuple[str, Wanted]:
    """Fields that often fall into the night, when clocks change."""
    fixed = draw(st.booleans())
    starred_minute = not fixed and draw(st.booleans())
    minute, minutes = draw(field(0, 59, starred=starred_minute))
    hour, hours = draw(
        field(0, 23, starred=True)
        if not fixed and (not starred_minute or draw(st.booleans()))
        else st.one_of(field(0, 4, starred=False), field(0, 23, starred=False))
    )
    any_day, any_weekday = draw(st.booleans()), draw(st.booleans())
    day, days = draw(field(1, 31, starred=any_day))
    weekday, weekdays = draw(field(0, 6, starred=any_weekday))
    return f"{minute} {hour} {day} * {weekday}", Wanted(
        minutes, hours, days, frozenset(range(1, 13)), weekdays, either=not (any_day or any_weekday), fixed=fixed
    )


@given(
    expression=expressions(),
    zone=st.sampled_from(ZONES),
    data=st.data(),
)
def test_both_calendars_agree_around_every_change_of_the_clock(
    expression: tuple[str, Wanted], zone: str, data: st.DataObject
) -> None:
    cron, wanted = expression
    day = data.draw(st.sampled_from(changes(zone) or (datetime(2026, 5, 1, tzinfo=UTC),)))
    days = window(zone, day - timedelta(days=3), 6)
    # Not from the first day on: what the clock showed before the window is not known to the second calendar.
    after = days.start + timedelta(days=1.5, seconds=data.draw(st.integers(0, 3 * 86_400)))
    end = days.minutes[-1][0]

    expected = [moment for moment in days.fires(wanted) if moment > after]
    told = list(takewhile(lambda moment: moment <= end, fire_times(cron, zone, after=after)))

    assert told == expected
    assert latest_fire(cron, zone, after=after, until=end) == (expected[-1] if expected else None)
