"""API keys and tokens as values: made, parsed and checked without any I/O."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from octo_core.domain.errors import InvalidError, UnauthenticatedError

KEY_ID_LENGTH = 12
SECRET_BYTES = 32
TOKEN_AUDIENCE = "octo-api"  # noqa: S105 - a name
TOKEN_ISSUER = "octo-api"  # noqa: S105 - a name

_KEY = re.compile(r"octo_([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class PlainKey:
    """An API key as its owner holds it. ``repr`` shows no secret."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"PlainKey({self.id!r})"

    @property
    def text(self) -> str:
        """What is shown once, and sent in ``X-API-Key``."""
        return f"octo_{self.id}_{self.secret}"


def new_key(random: bytes) -> PlainKey:
    """A key from 40 random bytes: eight for its id, the rest its secret."""
    if len(random) != SECRET_BYTES + 8:
        raise ValueError("an API key is made from 40 random bytes")
    key_id = base64.b32encode(random[:8]).decode().lower()[:KEY_ID_LENGTH]
    return PlainKey(key_id, base64.urlsafe_b64encode(random[8:]).decode().rstrip("="))


def parse_key(text: str) -> PlainKey:
    """The parts of a key. Raises InvalidError, without repeating it, if it has not the form of one."""
    match = _KEY.fullmatch(text)
    if match is None:
        raise InvalidError("an API key has the form octo_<12 of a-z2-7>_<43 of base64url>")
    return PlainKey(match[1], match[2])


def hash_secret(pepper: str, secret: str) -> str:
    """What is stored of a secret. One round is enough: it has 256 random bits."""
    return hmac.new(pepper.encode(), secret.encode(), hashlib.sha256).hexdigest()


def secret_matches(pepper: str, secret: str, stored_hash: str | None) -> bool:
    """Whether the secret is the stored one; takes as long when there is none."""
    given = hash_secret(pepper, secret)
    same = hmac.compare_digest(given, stored_hash if stored_hash is not None else "0" * len(given))
    return same and stored_hash is not None


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token from login says."""

    subject: str
    key_id: str
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...]
    expires_at: datetime


def issue_token(
    signing_key: str,
    *,
    subject: str,
    key_id: str,
    scopes: tuple[str, ...],
    namespaces: tuple[str, ...],
    now: datetime,
    ttl: timedelta,
) -> tuple[str, TokenClaims]:
    """A signed token, and what it says."""
    expires_at = (now + ttl).replace(microsecond=0)
    claims = TokenClaims(subject, key_id, scopes, namespaces, expires_at)
    token = jwt.encode(
        {
            "iss": TOKEN_ISSUER,
            "aud": TOKEN_AUDIENCE,
            "sub": subject,
            "key": key_id,
            "scopes": list(scopes),
            "namespaces": list(namespaces),
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        },
        signing_key,
        algorithm=_ALGORITHM,
    )
    return token, claims


def verify_token(signing_key: str, token: str, *, now: datetime) -> TokenClaims:
    """What a token of ours says. Raises UnauthenticatedError if it is not ours, was changed, or has expired."""
    try:
        payload = jwt.decode(
            token,
            signing_key,
            algorithms=[_ALGORITHM],
            audience=TOKEN_AUDIENCE,
            issuer=TOKEN_ISSUER,
            # Time is checked below, by the clock that was handed in.
            options={"require": ["exp", "iat", "sub", "aud", "iss", "key"], "verify_exp": False, "verify_iat": False},
        )
        claims = TokenClaims(
            subject=str(payload["sub"]),
            key_id=str(payload["key"]),
            scopes=tuple(payload["scopes"]),
            namespaces=tuple(payload["namespaces"]),
            expires_at=datetime.fromtimestamp(payload["exp"], tz=UTC),
        )
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise UnauthenticatedError("the token is not one of this server's") from error
    if now >= claims.expires_at:
        raise UnauthenticatedError("the token has expired")
    return claims
