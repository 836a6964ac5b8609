"""Users of an OpenID Connect issuer as callers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt

from octo_api.auth.identity import Identity
from octo_api.auth.jwks import IssuerKeys
from octo_api.auth.tokens import decode, expiry_of
from octo_core.domain.errors import UnauthenticatedError

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones only: with a symmetric one, the public key would be a secret that everybody knows."""

_LEEWAY = timedelta(seconds=30)
_REFUSED = "the token is not one of the issuer's for this server"


class OpenIdConnect:
    """Verifies tokens of one issuer, made for one audience."""

    def __init__(
        self,
        keys: IssuerKeys,
        *,
        issuer: str,
        audience: str,
        username_claim: str,
        groups_claim: str,
        prefix: str,
        clock: Callable[[], datetime],
    ) -> None:
        self.issuer = issuer
        self._keys = keys
        self._audience = audience
        self._username_claim = username_claim
        self._groups_claim = groups_claim
        self._prefix = prefix
        self._clock = clock

    async def identify(self, token: str) -> Identity:
        """Whose token it is. Raises UnauthenticatedError or IssuerUnavailableError."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise UnauthenticatedError(_REFUSED) from error
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if algorithm not in ALGORITHMS or not isinstance(kid, str):
            raise UnauthenticatedError(_REFUSED)
        key = await self._keys.find(kid)
        # The key says which algorithm it is for; the token has no say in that.
        if key is None or algorithm not in key.algorithms:
            raise UnauthenticatedError(_REFUSED)
        payload = decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self.issuer,
            require=("exp", "iss", "aud", self._username_claim),
        )
        return self._identity(payload)

    def _identity(self, payload: dict[str, Any]) -> Identity:
        now = self._clock()
        try:
            expires_at = expiry_of(payload)
            begins_at = expiry_of({"exp": payload.get("nbf", 0)})
        except (TypeError, ValueError, OverflowError, OSError) as error:
            raise UnauthenticatedError(_REFUSED) from error
        username, groups = payload[self._username_claim], payload.get(self._groups_claim, [])
        groups = [groups] if isinstance(groups, str) else groups
        if now >= expires_at + _LEEWAY or now < begins_at - _LEEWAY or not isinstance(username, str) or not username:
            raise UnauthenticatedError(_REFUSED)
        if self._username_claim == "email" and payload.get("email_verified", True) is not True:
            raise UnauthenticatedError(_REFUSED)
        if not isinstance(groups, list):
            groups = []
        return Identity(
            self._prefix + username,
            frozenset(self._prefix + group for group in groups if isinstance(group, str)),
            expires_at,
        )
