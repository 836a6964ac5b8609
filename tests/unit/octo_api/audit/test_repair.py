"""Whether a change was made, by the object as it is later."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_api.audit.intents import change_between
from octo_api.audit.repair import Finding, finding_of
from octo_api.merge_patch import merge

ASKED = datetime(2026, 1, 2, 12, tzinfo=UTC)
CHANGE = {"spec": {"suspend": True, "old": None}}


def found(*, uid: str = "u", version: str = "7", made: str = "2026-01-02T12:00:00Z", **more: Any) -> dict[str, Any]:
    spec = more.pop("spec", {"suspend": True})
    meta = {"uid": uid, "resourceVersion": version, "creationTimestamp": made, **more}
    return {"metadata": meta, "spec": spec}


def changed(version: str = "7") -> dict[str, Any]:
    return {"kind": "changed", "uid": "u", "resourceVersion": version, "change": CHANGE}


@pytest.mark.parametrize(
    ("probe", "now", "finding"),
    [
        (changed("7"), found(spec={}), Finding.NOT_DONE),
        (changed("6"), found(), Finding.DONE),
        (changed("6"), found(spec={"suspend": True, "more": 1}), Finding.DONE),
        (changed("6"), found(spec={"suspend": True, "old": 1}), Finding.UNKNOWN),
        (changed("6"), found(spec={"suspend": False}), Finding.UNKNOWN),
        (changed("6"), None, Finding.UNKNOWN),
        (changed("6"), found(uid="another"), Finding.UNKNOWN),
        ({"kind": "deleted", "uid": "u"}, None, Finding.DONE),
        ({"kind": "deleted", "uid": "u"}, found(uid="another"), Finding.DONE),
        ({"kind": "deleted", "uid": "u"}, found(deletionTimestamp="2026-01-02T12:00:00Z"), Finding.DONE),
        ({"kind": "deleted", "uid": "u"}, found(), Finding.NOT_DONE),
        ({"kind": "created", "change": CHANGE}, found(), Finding.DONE),
        ({"kind": "created", "change": CHANGE}, None, Finding.NOT_DONE),
        ({"kind": "created", "change": CHANGE}, found(made="2026-01-01T12:00:00Z"), Finding.NOT_DONE),
        ({"kind": "created", "change": CHANGE}, found(spec={"suspend": False}), Finding.NOT_DONE),
    ],
)
def test_whether_it_was_done(probe: dict[str, Any], now: dict[str, Any] | None, finding: Finding) -> None:
    assert finding_of(probe, now, asked_at=ASKED) is finding


_JSON = st.recursive(
    st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.sampled_from("abcd"), _JSON, max_size=4)


@given(_OBJECTS, _OBJECTS)
def test_a_change_makes_one_object_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merge(before, change_between(before, after)) == after
