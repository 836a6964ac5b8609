"""The pinned host keys of a server: known_hosts lines and SHA-256 fingerprints, mixed.

A fingerprint does not tell the type of its key, and a server shows just one of its keys: that of the
type that the client asked for first. So the types to ask for, and their order, are part of the pinning.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

import asyncssh

from octo_core.domain.failure import Category
from octo_worker.failure import Failed

# Each type of key with the signatures it may give, the best first.
_SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ssh-ed448": ("ssh-ed448",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"),
}
KEY_TYPES = tuple(_SIGNATURES)
CERTIFICATE = "certificate"
"""Stands among the types for a host certificate of any of them."""
_FINGERPRINT = re.compile(r"(?:\d+\s+)?SHA256:([A-Za-z0-9+/]{43})=?(?:\s.*)?")


def algorithms(types: tuple[str, ...]) -> list[str]:
    """What to name in the key exchange, in order, to be shown a key of one of the types."""
    found = []
    for kind in types:
        if kind == CERTIFICATE:
            found += [f"{name}-cert-v01@openssh.com" for names in _SIGNATURES.values() for name in names]
        else:
            found += _SIGNATURES[kind]
    return found


def described(key: asyncssh.SSHKey) -> str:
    """A key as a person compares it: its type and fingerprint."""
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


@dataclass(slots=True)
class HostKeys:
    """What ``source.sftp.hostKeys`` pins for one server."""

    host: str
    port: int
    fingerprints: set[str] = field(default_factory=set)
    revoked: list[asyncssh.SSHKey] = field(default_factory=list)
    _lines: asyncssh.SSHKnownHosts = field(default_factory=asyncssh.SSHKnownHosts)
    _types: set[str] = field(default_factory=set)

    @property
    def types(self) -> tuple[str, ...]:
        """Types of key that a pinned one may have, in the order to ask for them."""
        certified = (CERTIFICATE,) if CERTIFICATE in self._types else ()
        pinned = tuple(kind for kind in KEY_TYPES if kind in self._types)
        others = tuple(kind for kind in KEY_TYPES if kind not in self._types) if self.fingerprints else ()
        return certified + pinned + others

    def trusts(self, key: asyncssh.SSHKey, address: str) -> bool:
        """Whether a shown key is pinned and not revoked."""
        if key in self.revoked:
            return False
        return key.get_fingerprint() in self.fingerprints or key in self._matching(address)[0]

    def trusts_authority(self, key: asyncssh.SSHKey, address: str) -> bool:
        """Whether host certificates by this authority are taken."""
        return key not in self.revoked and key in self._matching(address)[1]

    @property
    def names_the_host(self) -> bool:
        """Whether anything here is for the host by its name, and not for another or for an address."""
        keys, authorities = self._matching("")
        return bool(self.fingerprints or keys or authorities)

    def _matching(self, address: str) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        port = self.port if self.port != 22 else None
        keys, authorities = self._lines.match(self.host.lower(), address, port)[:2]
        return list(keys), list(authorities)

    def _add(self, line: str) -> None:
        if match := _FINGERPRINT.fullmatch(line):
            # Fingerprints are compared as text: one that is not in canonical form would never match.
            if base64.b64encode(base64.b64decode(f"{match[1]}=")).decode() != f"{match[1]}=":
                raise ValueError("a fingerprint has a wrong last character")
            self.fingerprints.add(f"SHA256:{match[1]}")
            return
        marker, rest = line.split(None, 1) if line.startswith("@") else ("", line)
        hosts, key_text = rest.split(None, 1)
        if marker not in ("", "@cert-authority", "@revoked"):
            raise ValueError("the marker is unknown")
        key = asyncssh.import_public_key(key_text)
        if marker == "@revoked":
            # For whatever host: a key that the provider gave up is not the server's under any name.
            self.revoked.append(key)
            return
        if marker == "@cert-authority":
            self._types.add(CERTIFICATE)
        elif key.get_algorithm() in _SIGNATURES:
            self._types.add(key.get_algorithm())
        else:
            raise ValueError("the type of key is not supported")
        hosts = hosts if hosts.startswith("|") else hosts.lower()
        self._lines.load(f"{marker} {hosts} {key_text}")


def pinned(host: str, port: int, entries: tuple[str, ...]) -> HostKeys:
    """The pinned keys, or ``Failed`` naming the entry that is neither a known_hosts line nor a fingerprint."""
    keys = HostKeys(host, port)
    for number, entry in enumerate(entries):
        for line in entry.splitlines():
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            try:
                keys._add(text)
            except (ValueError, binascii.Error, asyncssh.KeyImportError):
                raise Failed(
                    Category.CONFIG,
                    f"source.sftp.hostKeys[{number}] is neither a known_hosts line nor a SHA256 fingerprint",
                ) from None
    if not keys.types:
        raise Failed(Category.CONFIG, "source.sftp.hostKeys pins no key")
    return keys
