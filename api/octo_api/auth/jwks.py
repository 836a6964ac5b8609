"""The public keys of an OpenID Connect issuer: fetched, remembered, and fetched again when they change."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import jwt

from octo_api.errors import IssuerUnavailableError

logger = logging.getLogger(__name__)

_FRESH = timedelta(hours=1)
_LOOK_AGAIN = timedelta(seconds=30)
"""At the soonest: anybody can make up key ids, and the issuer must not have to answer for each."""
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_MAX_BYTES = 1 << 20
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key, and the signature algorithms it is for."""

    key: Any
    algorithms: tuple[str, ...]


class IssuerKeys:
    """The keys of one issuer. Known ones go on being used while the issuer is away."""

    def __init__(
        self, *, issuer: str, jwks_url: str | None, ca_file: str | None, clock: Callable[[], datetime]
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._ca_file = ca_file
        self._clock = clock
        self._keys: Mapping[str, IssuerKey] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._one_at_a_time = asyncio.Lock()

    async def find(self, kid: str) -> IssuerKey | None:
        """The key of that id, or None. Raises IssuerUnavailableError if no keys are known at all."""
        if not self._is_fresh() or kid not in self._keys:
            async with self._one_at_a_time:
                if self._may_fetch() and (not self._is_fresh() or kid not in self._keys):
                    await self._fetch()
        if self._fetched_at is None:
            raise IssuerUnavailableError(f"the keys of {self._issuer} could not be fetched")
        return self._keys.get(kid)

    def _is_fresh(self) -> bool:
        return self._fetched_at is not None and self._clock() - self._fetched_at < _FRESH

    def _may_fetch(self) -> bool:
        return self._tried_at is None or abs(self._clock() - self._tried_at) >= _LOOK_AGAIN

    async def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            tls = ssl.create_default_context(cafile=self._ca_file)
            async with aiohttp.ClientSession(
                timeout=_TIMEOUT, connector=aiohttp.TCPConnector(ssl=tls), trust_env=True
            ) as session:
                url = self._jwks_url or await self._discover(session)
                self._keys = _usable(await _get(session, url))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, TypeError, AttributeError) as error:
            logger.warning("keys of the OIDC issuer could not be fetched", extra={"cause": type(error).__name__})
            return
        self._fetched_at = self._clock()

    async def _discover(self, session: aiohttp.ClientSession) -> str:
        document = await _get(session, self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != self._issuer:
            raise ValueError("the discovery document is another issuer's")
        return str(document["jwks_uri"])


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer:
        answer.raise_for_status()
        raw = bytearray()
        # Until its end: one read may return less than there is.
        async for piece in answer.content.iter_any():
            raw += piece
            if len(raw) > _MAX_BYTES:
                break
        if answer.status != 200 or len(raw) > _MAX_BYTES:
            raise ValueError("not a document of reasonable size")
        document: dict[str, Any] = json.loads(raw)
        return document


def _usable(document: Mapping[str, Any]) -> dict[str, IssuerKey]:
    """Keys for signatures, by id. A symmetric one would let everybody who knows it sign, so none is taken."""
    found: dict[str, IssuerKey] = {}
    for raw in document.get("keys", ()):
        if raw.get("kty") not in ("RSA", "EC", "OKP") or raw.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK.from_dict(raw)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # Of a kind that we do not know: others may still fit.
        # An RSA key that names no algorithm may be used for any RSA signature.
        algorithms = _RSA if raw["kty"] == "RSA" and "alg" not in raw else (key.algorithm_name,)
        found[str(raw.get("kid", ""))] = IssuerKey(key.key, algorithms)
    return found
