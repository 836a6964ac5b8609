"""Private keys under a secret that the database does not hold, so that neither reading nor writing it is enough."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
SEED_BYTES = 32


class Sealer:
    """AES-256-GCM under a key derived from the server's secret; the key's id is bound in."""

    def __init__(self, secret: str) -> None:
        # A key of its own, so that the secret may also be used for other things.
        derived = HKDF(SHA256(), 32, salt=None, info=b"octo signing keys v1").derive(secret.encode())
        self._cipher = AESGCM(derived)

    def seal(self, private_key: Ed25519PrivateKey, key_id: str, *, nonce: bytes) -> bytes:
        """The sealed form. ``nonce`` is 12 random bytes, new for each key."""
        return nonce + self._cipher.encrypt(nonce, private_key.private_bytes_raw(), key_id.encode())

    def open(self, sealed: bytes, key_id: str) -> Ed25519PrivateKey | None:
        """The key, or None if it was sealed under another secret or id, or changed since."""
        try:
            raw = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], key_id.encode())
        except (InvalidTag, ValueError):
            return None
        return Ed25519PrivateKey.from_private_bytes(raw)
