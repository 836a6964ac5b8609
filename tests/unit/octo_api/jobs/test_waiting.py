"""``Prefer: wait``: what is understood of it."""

from __future__ import annotations

import pytest

from octo_api.jobs.waiting import MAX_WAIT_SECONDS, wait_of


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("respond-async", None),
        ("wait=10", 10),
        ("WAIT=10", 10),
        ("respond-async, wait=0", 0),
        ('wait="7"; foo', 7),
        ("wait=9999", MAX_WAIT_SECONDS),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("await=5", None),
        ("wait=99999999999999999999", None),
    ],
)
def test_what_is_not_understood_is_passed_over(prefer: str | None, seconds: int | None) -> None:
    assert wait_of(prefer) == seconds
