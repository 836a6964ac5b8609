"""API keys and tokens as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_api.auth.credentials import (
    hash_secret,
    issue_token,
    new_key,
    parse_key,
    secret_matches,
    verify_token,
)
from octo_core.domain.errors import InvalidError, UnauthenticatedError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIGNING_KEY = "k" * 32
CLAIMS: dict[str, Any] = {
    "iss": "octo-api",
    "aud": "octo-api",
    "sub": "ops",
    "key": "abc",
    "scopes": ["*"],
    "namespaces": ["*"],
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 60,
}


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
    assert secret_matches("pepper", "secret", stored)
    assert not secret_matches("other", "secret", stored)
    assert not secret_matches("pepper", "other", stored)
    assert not secret_matches("pepper", "secret", None)


def test_a_token_is_read_as_it_was_issued() -> None:
    token, claims = issue_token(
        SIGNING_KEY,
        subject="ops",
        key_id="abc",
        scopes=("jobs:read",),
        namespaces=("octo",),
        now=NOW,
        ttl=timedelta(minutes=15),
    )
    assert verify_token(SIGNING_KEY, token, now=NOW) == claims
    assert claims.expires_at == NOW + timedelta(minutes=15)
    with pytest.raises(UnauthenticatedError):
        verify_token(SIGNING_KEY, token, now=claims.expires_at)


@pytest.mark.parametrize(
    ("change", "key", "algorithm"),
    [
        ({}, "x" * 32, "HS256"),
        ({}, "x" * 64, "HS512"),
        ({"aud": "other"}, SIGNING_KEY, "HS256"),
        ({"aud": None}, SIGNING_KEY, "HS256"),
        ({"iss": "other"}, SIGNING_KEY, "HS256"),
        ({"exp": None}, SIGNING_KEY, "HS256"),
        ({"exp": 10**18}, SIGNING_KEY, "HS256"),
        ({"key": None}, SIGNING_KEY, "HS256"),
        ({"scopes": 1}, SIGNING_KEY, "HS256"),
    ],
)
def test_a_token_not_quite_ours_is_refused(change: dict[str, Any], key: str, algorithm: str) -> None:
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
    with pytest.raises(UnauthenticatedError):
        verify_token(SIGNING_KEY, jwt.encode(claims, key, algorithm=algorithm), now=NOW)


def test_an_unsigned_token_is_refused() -> None:
    assert verify_token(SIGNING_KEY, jwt.encode(CLAIMS, SIGNING_KEY, algorithm="HS256"), now=NOW).subject == "ops"
    with pytest.raises(UnauthenticatedError):
        verify_token(SIGNING_KEY, jwt.encode(CLAIMS, "", algorithm="none"), now=NOW)


@given(st.text())
def test_other_text_is_no_token(text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        verify_token(SIGNING_KEY, text, now=NOW)
