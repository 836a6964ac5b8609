"""Signed cursors: where the next page begins, bound to the list they came from."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

from octo_core.domain.errors import InvalidError

_MAC_BYTES = 16


class CursorCodec:
    """Cursors can be neither made by a client nor carried over to another list or filter."""

    def __init__(self, signing_key: str) -> None:
        # A key of its own, so that a cursor is never mistaken for anything else that key signs.
        self._key = hmac.new(signing_key.encode(), b"octo cursor v1", hashlib.sha256).digest()

    def encode(self, position: tuple[str, ...], *, of: Mapping[str, object]) -> str:
        """The cursor for ``position`` in the list that ``of`` describes (its name and filters)."""
        payload = json.dumps(position, separators=(",", ":"), ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(self._mac(payload, of) + payload).decode().rstrip("=")

    def decode(self, cursor: str, *, of: Mapping[str, object]) -> tuple[str, ...]:
        """The position. Raises InvalidError if it was changed or comes from another list."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload, of)):
            raise InvalidCursorError()
        return tuple(json.loads(payload))

    def _mac(self, payload: bytes, of: Mapping[str, object]) -> bytes:
        bound = json.dumps({key: str(value) for key, value in of.items()}, sort_keys=True).encode()
        return hmac.new(self._key, hashlib.sha256(bound).digest() + payload, hashlib.sha256).digest()[:_MAC_BYTES]


class InvalidCursorError(InvalidError):
    """The cursor is not one that this list gave out."""

    code = "invalid-cursor"

    def __init__(self) -> None:
        super().__init__("the cursor is not one that this list, with these filters, gave out")
