"""API keys as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_api.auth.credentials import hash_secret, matching_pepper, new_key, parse_key
from octo_core.domain.errors import InvalidError


@given(st.binary(min_size=40, max_size=40))
def test_a_key_is_read_as_it_was_made(random: bytes) -> None:
    key = new_key(random)
    assert parse_key(key.text) == key
    assert len(key.text) == len("octo_") + 12 + 1 + 43
    assert key.secret not in repr(key)


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_key(text)
    assert not text or len(text) < 4 or text not in caught.value.detail


@pytest.mark.parametrize("spoil", ["{}\n", " {}", "{}A", "x{}", "{}_"])
def test_a_key_with_more_around_it_is_none(spoil: str) -> None:
    with pytest.raises(InvalidError):
        parse_key(spoil.format(new_key(bytes(40)).text))


def test_a_hash_depends_on_secret_and_pepper() -> None:
    stored = hash_secret("pepper", "secret")
    assert matching_pepper(["pepper"], "secret", stored) == "pepper"
    assert matching_pepper(["new", "pepper"], "secret", stored) == "pepper"
    assert matching_pepper(["other"], "secret", stored) is None
    assert matching_pepper(["pepper"], "other", stored) is None
    assert matching_pepper(["pepper"], "secret", None) is None
