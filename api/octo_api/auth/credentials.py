"""API keys as values: made, parsed and checked without any I/O."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from octo_core.domain.errors import InvalidError

KEY_ID_LENGTH = 12
SECRET_BYTES = 32

_KEY = re.compile(r"octo_([a-z2-7]{12})_([A-Za-z0-9_-]{43})")


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


def matching_pepper(peppers: Sequence[str], secret: str, stored_hash: str | None) -> str | None:
    """The pepper under which the secret is the stored one, or None.

    Does the same work whether there is a stored one, and whichever pepper it is.
    """
    found: str | None = None
    for pepper in peppers:
        given = hash_secret(pepper, secret)
        same = hmac.compare_digest(given, stored_hash if stored_hash is not None else "0" * len(given))
        found = pepper if same and stored_hash is not None else found
    return found
