"""Makes OpenPGP keys and messages with the real gpg, in key rings of their own, and takes messages apart."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from tests.support.kubectl import eventually


@dataclass(frozen=True)
class PgpKey:
    """A key pair in its own ring, as a provider and a receiver would share it."""

    home: Path
    user: str
    passphrase: str
    private: bytes

    @cached_property
    def public(self) -> bytes:
        """The public key, armored."""
        return gpg(self.home, b"", "--armor", "--export", self.user)

    @cached_property
    def fingerprint(self) -> str:
        """Of the primary key."""
        listing = gpg(self.home, b"", "--with-colons", "--list-keys", self.user).decode()
        return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))

    def encrypt(self, data: bytes, *options: str) -> bytes:
        """A message to this key."""
        return gpg(self.home, data, "--trust-model", "always", *options, "-r", self.user, "--encrypt")

    def wrap(self, inside: bytes) -> bytes:
        """A message to this key that holds these packets as they are."""
        return self.encrypt(inside, "--no-literal", "--compress-algo", "none")

    def sign(self, data: bytes, *options: str) -> bytes:
        """What ``--detach-sign``, ``--sign``, ... make; a detached signature if nothing else is said."""
        how = options or ("--detach-sign",)
        return gpg(self.home, data, "--passphrase", self.passphrase, "-u", self.user, *how)

    def seal(self, data: bytes, to: PgpKey, *options: str) -> bytes:
        """A message to another key, with a signature by this one inside."""
        with tempfile.NamedTemporaryFile() as recipient:
            recipient.write(to.public)
            recipient.flush()
            whom = ("--trust-model", "always", "--recipient-file", recipient.name)
            return self.sign(data, *whom, *options, "--sign", "--encrypt")


def gpg(home: Path, data: bytes, *arguments: str) -> bytes:
    """Run gpg on a ring and give back its output."""
    command = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback"]
    return subprocess.run([*command, *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


def encrypt_symmetric(home: Path, data: bytes, passphrase: str, *options: str) -> bytes:
    """A message to a passphrase alone. The least stretching, as gpg would spend 0.1 s on each message."""
    return gpg(home, data, "--passphrase", passphrase, "--s2k-count", "1024", *options, "--symmetric")


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a message, with its body in one piece."""

    tag: int
    body: bytes

    def encoded(self) -> bytes:
        """In the new format, with a length of five bytes."""
        return bytes([0xC0 | self.tag, 0xFF]) + len(self.body).to_bytes(4, "big") + self.body


def packets(message: bytes) -> list[Packet]:
    """The packets that a binary message is made of, not what is inside them."""
    found = []
    at = 0
    while at < len(message):
        first, at = message[at], at + 1
        assert first & 0x80
        if not first & 0x40:
            size = {0: 1, 1: 2, 2: 4}.get(first & 3, 0)
            length = int.from_bytes(message[at : at + size], "big") if size else len(message) - at
            found.append(Packet(first >> 2 & 0x0F, message[at + size : at + size + length]))
            at += size + length
            continue
        body, partial = b"", True
        while partial:
            octet, at, partial = message[at], at + 1, False
            if octet < 192:
                length = octet
            elif octet < 224:
                length, at = (octet - 192 << 8) + message[at] + 192, at + 1
            elif octet == 255:
                length, at = int.from_bytes(message[at : at + 4], "big"), at + 4
            else:
                length, partial = 1 << (octet & 0x1F), True
            body += message[at : at + length]
            at += length
        found.append(Packet(first & 0x3F, body))
    return found


def remove_ring(folder: Path) -> None:
    """Remove a folder in which gpg-agents may still be at work: while they end, they write files and take some away."""

    def gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    eventually(gone, every=0.05, what=f"{folder} removed")


@contextmanager
def make_key(
    user: str, passphrase: str, *, algorithm: str = "rsa2048", time: str = "", expire: str = "never"
) -> Iterator[PgpKey]:
    """A key pair; ``algorithm`` rsa2048, ed25519 or nistp256..., ``time`` as of ``--faked-system-time``."""
    # Not below pytest's own folder: gpg-agent's socket needs a short path.
    home = Path(tempfile.mkdtemp(prefix="octo-pgp-"))
    try:
        (home / "gpg-agent.conf").write_text("s2k-count 1024\n")
        common = ("--passphrase", passphrase, *(("--faked-system-time", time) if time else ()))
        if algorithm.startswith("rsa"):
            gpg(home, b"", *common, "--quick-generate-key", user, algorithm, "encrypt,sign", expire)
        else:
            gpg(home, b"", *common, "--quick-generate-key", user, algorithm, "sign", expire)
            listing = gpg(home, b"", "--with-colons", "--list-keys", user).decode()
            primary = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))
            subkey = "cv25519" if algorithm == "ed25519" else algorithm
            gpg(home, b"", *common, "--quick-add-key", primary, subkey, "encrypt", expire)
        private = gpg(home, b"", *common, "--armor", "--export-secret-keys", user)
        yield PgpKey(home, user, passphrase, private)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        remove_ring(home)


@pytest.fixture(scope="session")
def pgp_key() -> Iterator[PgpKey]:
    """The key that the provider encrypts to."""
    with make_key("receiver@example.com", "planted-pgp-passphrase") as key:
        yield key


@pytest.fixture(scope="session")
def other_pgp_key() -> Iterator[PgpKey]:
    """A key that the worker does not have."""
    with make_key("stranger@example.com", "another-passphrase") as key:
        yield key


@pytest.fixture(scope="session")
def signer_pgp_key() -> Iterator[PgpKey]:
    """The key that the provider signs with."""
    with make_key("signer@example.com", "signers-passphrase", algorithm="ed25519") as key:
        yield key
