"""Resets come to stand on the provider, and are taken out when they are done."""

from __future__ import annotations

from typing import Any

import pytest

from octo_api.ledger.resets import reset_id, with_resets, without
from octo_core.domain.errors import InvalidError
from octo_core.domain.provider import MAX_REFETCH


def provider(**ids: str) -> dict[str, Any]:
    waiting = [{"path": path, "id": id_} for path, id_ in ids.items()]
    return {"spec": {"source": {}, **({"refetch": waiting} if waiting else {})}}


def waiting(raw: dict[str, Any]) -> dict[str, str]:
    return {entry["path"]: entry["id"] for entry in raw["spec"].get("refetch", ())}


def test_one_request_has_one_id_for_each_path() -> None:
    assert reset_id("me", "k", "a") == reset_id("me", "k", "a")
    assert (
        len({reset_id(*parts) for parts in (("me", "k", "a"), ("me", "k", "b"), ("me", "l", "a"), ("x", "k", "a"))})
        == 4
    )


def test_a_reset_joins_those_that_wait() -> None:
    assert waiting(with_resets(provider(a="1"), {"b": "2"}, done=set())) == {"a": "1", "b": "2"}
    assert waiting(with_resets(provider(a="1"), {"a": "2"}, done=set())) == {"a": "2"}


def test_what_is_done_goes_and_does_not_come_back() -> None:
    assert waiting(with_resets(provider(a="1", b="2"), {"c": "3"}, done={"1"})) == {"b": "2", "c": "3"}
    assert with_resets(provider(a="1"), {"a": "1"}, done={"1"}) == provider(), "sent again after it was done"
    assert waiting(without(provider(a="1", b="2"), {"2"})) == {"a": "1"}
    assert without(provider(a="1"), {"1"}) == provider()


def test_there_is_an_end_to_what_may_wait() -> None:
    full = provider(**{f"p{number}": str(number) for number in range(MAX_REFETCH)})
    assert len(waiting(with_resets(full, {"p0": "x"}, done=set()))) == MAX_REFETCH
    with pytest.raises(InvalidError) as error:
        with_resets(full, {"another": "x"}, done=set())
    assert error.value.fields[0][0] == "/paths"
