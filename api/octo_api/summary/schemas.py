"""Documents of the summary."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from octo_core.db.days import Day
from octo_core.domain.model import Model, Time
from octo_core.domain.status import State


class StateCount(Model):
    """How many runs are in a state."""

    state: State
    runs: int = Field(ge=0)


class DaySummary(Model):
    """What the runs came to that ended so on that day."""

    day: date = Field(description="In UTC; the day on which the runs ended.", examples=["2026-03-02"])
    outcome: State = Field(description="`Succeeded`, `Failed` or `Cancelled`.", examples=[State.SUCCEEDED])
    runs: int = Field(ge=0)
    files: int = Field(ge=0, description="Files done.")
    files_failed: int = Field(ge=0)
    bytes_downloaded: int = Field(ge=0)
    bytes_uploaded: int = Field(ge=0)


class Summary(Model):
    """How many runs there are now, live and archived, and what each of the last days came to."""

    at: Time
    first_day: date = Field(examples=["2026-02-01"])
    last_day: date = Field(description="Today, in UTC.", examples=["2026-03-02"])
    states: tuple[StateCount, ...] = Field(description="Every state, also those that no run is in.")
    days: tuple[DaySummary, ...] = Field(description="By day and outcome; those without a run are left out.")


def summary_of(at: Time, first_day: date, last_day: date, counts: dict[State, int], days: list[Day]) -> Summary:
    """The representation."""
    return Summary(
        at=at,
        first_day=first_day,
        last_day=last_day,
        states=tuple(StateCount(state=state, runs=counts.get(state, 0)) for state in State),
        days=tuple(
            DaySummary(
                day=day.day,
                outcome=day.outcome,
                runs=day.runs,
                files=day.files,
                files_failed=day.files_failed,
                bytes_downloaded=day.bytes_downloaded,
                bytes_uploaded=day.bytes_uploaded,
            )
            for day in days
        ),
    )
