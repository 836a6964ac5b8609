"""The keys that sign tokens: kept sealed in Postgres, the same for all replicas, replaced in time by any of them.

A new key is published before it signs, and an old one verifies until the last token it signed has expired. So no
replica meets a token whose key it cannot know, and a rotation ends nobody's token. Changing the server's secret does:
what was sealed under the old one is never trusted again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from octo_api.auth.sealing import NONCE_BYTES, SEED_BYTES, Sealer
from octo_core.db import signing_keys
from octo_core.db.session import AsyncSession, Database
from octo_core.db.signing_keys import SealedKey
from octo_core.domain.errors import UnauthenticatedError

REFRESH = timedelta(seconds=60)
_PUBLISHED_BEFORE = timedelta(minutes=5)
"""A new key is made this long before it signs; several times ``REFRESH``."""
_LOOK_AGAIN = timedelta(seconds=5)
"""After an unknown key id; it may be made up, so not each one may cost a query."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An opened key."""

    id: str
    private: Ed25519PrivateKey
    signs_from: datetime
    signs_until: datetime
    verifies_until: datetime

    @property
    def public(self) -> Ed25519PublicKey:
        """What verifies its tokens."""
        return self.private.public_key()


class KeyRing:
    """Finds the key to sign with and the keys to verify with, and makes new ones."""

    def __init__(
        self,
        database: Database,
        *,
        secret: str,
        rotation: timedelta,
        token_ttl: timedelta,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._sealer = Sealer(secret)
        self._rotation = rotation
        self._token_ttl = token_ttl
        self._clock = clock
        self._random = random
        self._keys: dict[str, SigningKey] = {}
        self._read_at: datetime | None = None

    async def signing(self) -> SigningKey:
        """The key to sign with now. Raises DatabaseUnavailableError if none is known and none can be made."""
        key = self._signing_at(self._clock())
        if key is None:
            await self.refresh()
            key = self._signing_at(self._clock())
            assert key is not None  # noqa: S101 - refresh makes one where there is none
        return key

    async def verifying(self, kid: str) -> Ed25519PublicKey:
        """The public key of that id. Raises UnauthenticatedError if there is none, or DatabaseUnavailableError."""
        now = self._clock()
        if kid not in self._keys and (self._read_at is None or abs(now - self._read_at) >= _LOOK_AGAIN):
            await self.refresh()
        key = self._keys.get(kid)
        if key is None or now >= key.verifies_until:
            raise UnauthenticatedError("the token is not one of this server's")
        return key.public

    async def published(self) -> dict[str, Any]:
        """The JSON Web Key Set (RFC 7517) of all keys that verify. Raises DatabaseUnavailableError."""
        if self._signing_at(self._clock()) is None:
            await self.refresh()
        now = self._clock()
        return {"keys": [_jwk(key) for key in self._keys.values() if now < key.verifies_until]}

    async def refresh(self) -> None:
        """Read the keys anew, and make the next one where it is time. Raises DatabaseUnavailableError."""
        now = self._clock()
        async with self._database.transaction() as session:
            keys = self._opened(await signing_keys.alive(session, now=now))
            if _next_starts(keys, now) is not None:
                await signing_keys.lock(session)
                # Another replica may have been first.
                keys = self._opened(await signing_keys.alive(session, now=now))
                starts = _next_starts(keys, now)
                if starts == now:
                    # The first. A replica that waits for the lock, or whose clock is behind, has to find it signing.
                    starts -= _PUBLISHED_BEFORE
                if starts is not None:
                    keys += self._opened([await self._make(session, now, starts)])
                await signing_keys.delete_ended(session, now=now)
        self._keys = {key.id: key for key in keys}
        self._read_at = now

    async def _make(self, session: AsyncSession, now: datetime, starts: datetime) -> SealedKey:
        private = Ed25519PrivateKey.from_private_bytes(self._random(SEED_BYTES))
        kid = thumbprint(private.public_key())
        ends = starts + self._rotation
        made = SealedKey(
            id=kid,
            sealed=self._sealer.seal(private, kid, nonce=self._random(NONCE_BYTES)),
            created_at=now,
            signs_from=starts,
            signs_until=ends,
            verifies_until=ends + self._token_ttl,
        )
        await signing_keys.add(session, made)
        return made

    def _opened(self, sealed: list[SealedKey]) -> list[SigningKey]:
        found = []
        for key in sealed:
            private = self._sealer.open(key.sealed, key.id)
            if private is not None:
                found.append(SigningKey(key.id, private, key.signs_from, key.signs_until, key.verifies_until))
        return found

    def _signing_at(self, now: datetime) -> SigningKey | None:
        able = [key for key in self._keys.values() if key.signs_from <= now < key.signs_until]
        return min(able, key=lambda key: key.signs_from, default=None)


def _next_starts(keys: list[SigningKey], now: datetime) -> datetime | None:
    """When a key that has to be made now will sign from; None if there are enough keys."""
    covered = now
    for key in sorted(keys, key=lambda key: key.signs_from):
        if key.signs_from <= covered:
            covered = max(covered, key.signs_until)
    return covered if covered - now <= _PUBLISHED_BEFORE else None


def thumbprint(key: Ed25519PublicKey) -> str:
    """The key's RFC 7638 thumbprint, its id."""
    canonical = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": _x(key)}, separators=(",", ":"), sort_keys=True)
    return _b64(hashlib.sha256(canonical.encode()).digest())


def _jwk(key: SigningKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": _x(key.public), "kid": key.id, "use": "sig", "alg": "EdDSA"}


def _x(key: Ed25519PublicKey) -> str:
    return _b64(key.public_bytes_raw())


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
