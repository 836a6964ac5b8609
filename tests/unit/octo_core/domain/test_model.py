"""Times as they are given and told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from octo_core.domain.model import Moment, Time, rfc3339

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
TIME: TypeAdapter[datetime] = TypeAdapter(Time)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02t03:04:05z",
        "2026-01-02T03:04:05.123456Z",
        "2026-01-02T05:04:05+02:00",
        "2026-01-01T22:04:05-05:00",
    ],
)
def test_times_as_in_rfc_3339(text: str) -> None:
    assert MOMENT.validate_python(text).replace(microsecond=0) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "1767323045",
        1767323045,
        1767323045.5,
        "2026-01-02",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04Z",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05 02:00",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05,5Z",
        "2026-02-30T03:04:05Z",
        "2026-01-02T25:04:05Z",
        "20260102T030405Z",
        # In UTC they lie in the years 0 and 10000.
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        " 2026-01-02T03:04:05Z",
        "٢٠٢٦-01-02T03:04:05Z",
        "",
        True,
    ],
    ids=repr,
)
def test_what_pydantic_alone_might_take(value: object) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(value)


@given(
    st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001 - a zone is added
    st.integers(-1439, 1439),
)
def test_told_in_utc_and_taken_back(moment: datetime, minutes: int) -> None:
    there = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    told = TIME.dump_python(there, mode="json")
    assert told == rfc3339(there)
    assert told.endswith("Z")
    assert TIME.validate_python(told) == there
