"""Tokens from login: JWTs signed with Ed25519, made and checked without any I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from octo_core.domain.errors import UnauthenticatedError

AUDIENCE = "octo-api"
ISSUER = "octo-api"
ALGORITHM = "EdDSA"
_TYPE = "at+jwt"
_T = TypeVar("_T")
_REQUIRED = ("exp", "iat", "sub", "aud", "iss", "key", "scopes", "namespaces")


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token from login says."""

    subject: str
    key_id: str
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...]
    expires_at: datetime
    logged_in_at: datetime
    """When the key was shown; renewing the token does not change it."""


def issue_token(private_key: Ed25519PrivateKey, kid: str, claims: TokenClaims, *, now: datetime) -> str:
    """A token that says so, for whoever knows the public key of that id."""
    return jwt.encode(
        {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": claims.subject,
            "key": claims.key_id,
            "scopes": list(claims.scopes),
            "namespaces": list(claims.namespaces),
            "iat": int(now.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
            "auth_time": int(claims.logged_in_at.timestamp()),
        },
        private_key,
        algorithm=ALGORITHM,
        headers={"kid": kid, "typ": _TYPE},
    )


def key_id_of(token: str) -> str:
    """The id of the key that a token says it was signed with. Raises UnauthenticatedError if it is none of ours."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise UnauthenticatedError("the token is not a JWT") from error
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or not isinstance(kid, str):
        raise UnauthenticatedError("the token is not one of this server's")
    return kid


def verify_token(public_key: Ed25519PublicKey, token: str, *, now: datetime) -> TokenClaims:
    """What a token of ours says. Raises UnauthenticatedError if it is not ours, was changed, or has expired."""
    payload = decode(token, public_key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, require=_REQUIRED)
    claims = _reading(
        lambda: TokenClaims(
            subject=_string(payload["sub"]),
            key_id=_string(payload["key"]),
            scopes=tuple(map(_string, payload["scopes"])),
            namespaces=tuple(map(_string, payload["namespaces"])),
            expires_at=expiry_of(payload),
            # A token of the version before has none: it is as it came from login.
            logged_in_at=_moment(payload.get("auth_time", payload["iat"])),
        )
    )
    if now >= claims.expires_at:
        raise UnauthenticatedError("the token has expired")
    return claims


def decode(
    token: str, key: Any, *, algorithms: list[str], audience: str, issuer: str, require: tuple[str, ...]
) -> dict[str, Any]:
    """The payload, if the signature, audience and issuer are right.

    Times are for the caller to check, by the clock it was handed. Raises UnauthenticatedError.
    """
    options: Any = {"require": list(require), "verify_exp": False, "verify_nbf": False, "verify_iat": False}
    return _reading(
        lambda: jwt.decode(token, key, algorithms=algorithms, audience=audience, issuer=issuer, options=options)
    )


def unverified_issuer(token: str) -> str | None:
    """Who a token says it comes from, which decides who may verify it; None if it is no JWT, or says nothing."""
    try:
        payload = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    issuer = payload.get("iss")
    return issuer if isinstance(issuer, str) else None


def expiry_of(payload: dict[str, Any]) -> datetime:
    """The ``exp`` claim. Raises TypeError, ValueError, OverflowError or OSError for what is no time."""
    return _moment(payload["exp"])


def end_of_life(now: datetime, ttl: timedelta, *, at_most: datetime | None) -> datetime:
    """When a token that is made now ends: after its time, or with the key it was made from, in whole seconds."""
    end = (now + ttl).replace(microsecond=0)
    return end if at_most is None else min(end, at_most.replace(microsecond=0))


def _reading(read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, OSError, RecursionError) as error:
        raise UnauthenticatedError("the token is not one that this server takes") from error


def _moment(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a time")
    return datetime.fromtimestamp(value, tz=UTC)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value
