"""Derived names are deterministic, valid and short enough."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.names import MAX_JOB_NAME_LENGTH, child_name, keyed_job_name

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@given(st.text(), st.text())
def test_a_keyed_name_is_a_dns_label_that_leaves_room_for_the_attempt(tenant: str, key: str) -> None:
    name = keyed_job_name(tenant, key)
    assert DNS_LABEL.fullmatch(name)
    assert len(name) <= MAX_JOB_NAME_LENGTH
    assert name == keyed_job_name(tenant, key)


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_other_tenants_and_keys_have_other_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    if "\0".join(one) != "\0".join(other):
        assert keyed_job_name(*one) != keyed_job_name(*other)


def test_the_longest_name_with_the_last_attempt_fits_a_label() -> None:
    assert len(child_name("x" * MAX_JOB_NAME_LENGTH, 20)) <= 63


def test_the_host_name_of_its_last_worker_does_too() -> None:
    """Kubernetes refuses an Indexed Job of which `<name>-<index>` is too long."""
    assert len(child_name("x" * MAX_JOB_NAME_LENGTH, 20) + "-63") <= 63
