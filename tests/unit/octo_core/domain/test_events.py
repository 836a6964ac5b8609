"""Which events a change of a run is."""

from __future__ import annotations

import pytest

from octo_core.domain.events import MEANINGS, EventType, Seen, job_changes, type_of
from octo_core.domain.status import State


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, ("Pending", 0), ["job.created"]),
        (None, ("Running", 1), ["job.created", "job.running"]),
        (("Pending", 0), ("Pending", 0), []),
        (("Pending", 0), ("Running", 1), ["job.running"]),
        (("Running", 1), ("Running", 2), ["job.running"]),
        (("Running", 2), ("Failed", 2), ["job.failed"]),
    ],
)
def test_changes(before: tuple[str, int] | None, after: tuple[str, int], expected: list[str]) -> None:
    assert job_changes(Seen(*before) if before else None, Seen(*after)) == expected


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_type(state: State) -> None:
    assert type_of(state).ends_job == state.terminal


def test_every_type_has_a_meaning() -> None:
    assert set(MEANINGS) == set(EventType)
    assert {kind for kind in EventType if kind.ends_job} - {type_of(state) for state in State if state.terminal} == {
        EventType.JOB_DELETED
    }
