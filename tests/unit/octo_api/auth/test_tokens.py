"""Tokens from login as values: what is not quite ours is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from octo_api.auth.tokens import TokenClaims, end_of_life, issue_token, key_id_of, unverified_issuer, verify_token
from octo_core.domain.errors import UnauthenticatedError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
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


def test_a_token_is_read_as_it_was_issued() -> None:
    claims = TokenClaims("ops", "abc", ("jobs:read",), ("octo",), NOW + timedelta(minutes=15), NOW - timedelta(hours=1))
    token = issue_token(KEY, "kid-1", claims, now=NOW)
    assert key_id_of(token) == "kid-1"
    assert unverified_issuer(token) == "octo-api"
    assert verify_token(KEY.public_key(), token, now=NOW) == claims
    with pytest.raises(UnauthenticatedError):
        verify_token(KEY.public_key(), token, now=claims.expires_at)
    with pytest.raises(UnauthenticatedError):
        verify_token(OTHER.public_key(), token, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "other"},
        {"aud": None},
        {"iss": "other"},
        {"exp": None},
        {"exp": 10**18},
        {"exp": True},
        {"auth_time": "now"},
        {"iat": [], "auth_time": None},
        {"key": None},
        {"key": 7},
        {"scopes": 1},
        {"scopes": [1]},
        {"namespaces": None},
    ],
)
def test_a_token_not_quite_ours_is_refused(change: dict[str, Any]) -> None:
    good = jwt.encode(CLAIMS, KEY, algorithm="EdDSA")
    assert verify_token(KEY.public_key(), good, now=NOW).subject == "ops"
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
    with pytest.raises(UnauthenticatedError):
        verify_token(KEY.public_key(), jwt.encode(claims, KEY, algorithm="EdDSA"), now=NOW)


def test_the_token_does_not_choose_its_algorithm() -> None:
    public = KEY.public_key()
    rsa = generate_private_key(65537, 2048)
    forged = (
        jwt.encode(CLAIMS, "", algorithm="none", headers={"kid": "kid-1"}),
        # The classic: the public key, which everybody knows, as the secret of an HMAC.
        jwt.encode(CLAIMS, public.public_bytes_raw(), algorithm="HS256", headers={"kid": "kid-1"}),
        jwt.encode(CLAIMS, public.public_bytes(Encoding.Raw, PublicFormat.Raw).hex(), algorithm="HS512"),
        jwt.encode(CLAIMS, rsa, algorithm="RS256", headers={"kid": "kid-1"}),
    )
    for token in forged:
        with pytest.raises(UnauthenticatedError):
            key_id_of(token)
        with pytest.raises(UnauthenticatedError):
            verify_token(public, token, now=NOW)


def test_a_token_without_a_key_id_is_refused() -> None:
    with pytest.raises(UnauthenticatedError):
        key_id_of(jwt.encode(CLAIMS, KEY, algorithm="EdDSA"))


@given(st.text(), st.text())
def test_other_text_is_no_token(text: str, more: str) -> None:
    for candidate in (text, f"{text}.{more}.{text}"):
        assert unverified_issuer(candidate) is None
        with pytest.raises(UnauthenticatedError):
            key_id_of(candidate)
        with pytest.raises(UnauthenticatedError):
            verify_token(KEY.public_key(), candidate, now=NOW)


def test_a_token_ends_with_its_key() -> None:
    ttl = timedelta(minutes=15)
    assert end_of_life(NOW, ttl, at_most=None) == NOW + ttl
    assert end_of_life(NOW, ttl, at_most=NOW + timedelta(hours=1)) == NOW + ttl
    assert end_of_life(NOW, ttl, at_most=NOW + timedelta(minutes=1)) == NOW + timedelta(minutes=1)
