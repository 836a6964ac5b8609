"""Sealed keys open under the same secret and id, and not otherwise."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from octo_api.auth.sealing import Sealer

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def test_only_secret_and_id_together_open() -> None:
    sealed = Sealer("s" * 32).seal(KEY, "kid", nonce=b"n" * 12)
    opened = Sealer("s" * 32).open(sealed, "kid")
    assert opened is not None
    assert opened.private_bytes_raw() == b"k" * 32
    assert b"k" * 32 not in sealed
    assert Sealer("t" * 32).open(sealed, "kid") is None
    assert Sealer("s" * 32).open(sealed, "other") is None
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        assert Sealer("s" * 32).open(bytes(changed), "kid") is None
    assert Sealer("s" * 32).open(b"", "kid") is None
