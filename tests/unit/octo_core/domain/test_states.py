"""The state is a function of the conditions, and a finished run stays finished."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.states import BACKING_OFF, CANCELLED_REASONS, WAITING_REASONS, derive_state
from octo_core.domain.status import Condition, ConditionStatus, ConditionType, State
from tests.unit.octo_controller.builders import T0


def conditions(**said: tuple[str, str]) -> list[Condition]:
    """Conditions by type: status and reason."""
    return [
        Condition(type=kind, status=ConditionStatus(status), reason=reason, last_transition_time=T0)
        for kind, (status, reason) in said.items()
    ]


@pytest.mark.parametrize(
    ("said", "ending", "state"),
    [
        ({}, False, State.PENDING),
        ({"Accepted": ("False", "ProviderNotFound")}, False, State.PENDING),
        ({"Admitted": ("False", "StartAfter")}, False, State.PENDING),
        *(({"Admitted": ("False", reason)}, False, State.QUEUED) for reason in WAITING_REASONS),
        ({"Admitted": ("True", "Admitted"), "Running": ("False", "PodPending")}, False, State.STARTING),
        ({"Admitted": ("True", "Admitted"), "Running": ("True", "PodRunning")}, False, State.RUNNING),
        ({"Admitted": ("True", "Admitted"), "Running": ("False", BACKING_OFF)}, False, State.RETRYING),
        ({"Running": ("True", "PodRunning"), "Suspended": ("True", "UserSuspended")}, False, State.SUSPENDED),
        ({"Running": ("True", "PodRunning")}, True, State.CANCELLING),
        ({"Suspended": ("True", "UserSuspended")}, True, State.CANCELLING),
        ({"Finished": ("True", "Completed"), "Succeeded": ("True", "Completed")}, False, State.SUCCEEDED),
        ({"Finished": ("True", "HostKey"), "Succeeded": ("False", "HostKey")}, False, State.FAILED),
        *(
            ({"Finished": ("True", reason), "Succeeded": ("False", reason)}, False, State.CANCELLED)
            for reason in CANCELLED_REASONS
        ),
    ],
)
def test_state(said: dict[str, tuple[str, str]], ending: bool, state: State) -> None:
    assert derive_state(conditions(**said), ending=ending) is state


_SAID = st.dictionaries(
    st.sampled_from([kind.value for kind in ConditionType if kind is not ConditionType.FINISHED]),
    st.tuples(st.sampled_from(["True", "False", "Unknown"]), st.sampled_from(["Any", BACKING_OFF, *CANCELLED_REASONS])),
)


@given(said=_SAID, ending=st.booleans())
def test_finished_means_terminal_and_terminal_means_finished(said: dict[str, tuple[str, str]], ending: bool) -> None:
    assert derive_state(conditions(**said, Finished=("True", "Any")), ending=ending).terminal
    assert not derive_state(conditions(**said, Finished=("False", "Any")), ending=ending).terminal


@given(said=_SAID)
def test_whatever_is_said_of_a_finished_run_its_state_is_that_of_its_success(said: dict[str, tuple[str, str]]) -> None:
    said["Succeeded"] = ("True", "Completed")
    assert derive_state(conditions(**said, Finished=("True", "Any")), ending=True) is State.SUCCEEDED
