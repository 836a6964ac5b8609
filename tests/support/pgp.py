"""Makes OpenPGP keys and messages with the real gpg, in key rings of their own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class PgpKey:
    """A key pair in its own ring, as a provider and a receiver would share it."""

    home: Path
    user: str
    passphrase: str
    private: bytes

    def encrypt(self, data: bytes, *options: str) -> bytes:
        """A message to this key."""
        return gpg(self.home, data, "--trust-model", "always", *options, "-r", self.user, "--encrypt")


def gpg(home: Path, data: bytes, *arguments: str) -> bytes:
    """Run gpg on a ring and give back its output."""
    command = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback"]
    return subprocess.run([*command, *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


def encrypt_symmetric(home: Path, data: bytes, passphrase: str) -> bytes:
    """A message to a passphrase alone."""
    return gpg(home, data, "--passphrase", passphrase, "--symmetric")


def _make_key(user: str, passphrase: str) -> PgpKey:
    # Not below pytest's own folder: gpg-agent's socket needs a short path.
    home = Path(tempfile.mkdtemp(prefix="octo-pgp-"))
    (home / "gpg-agent.conf").write_text("s2k-count 1024\n")
    secret = ("--passphrase", passphrase)
    gpg(home, b"", *secret, "--quick-generate-key", user, "rsa2048", "encrypt,sign", "never")
    private = gpg(home, b"", *secret, "--armor", "--export-secret-keys", user)
    return PgpKey(home, user, passphrase, private)


def _destroy(key: PgpKey) -> None:
    subprocess.run(["gpgconf", "--homedir", str(key.home), "--kill", "all"], check=False)
    shutil.rmtree(key.home, ignore_errors=True)


@pytest.fixture(scope="session")
def pgp_key() -> Iterator[PgpKey]:
    """The key that the provider encrypts to."""
    key = _make_key("receiver@example.com", "planted-pgp-passphrase")
    yield key
    _destroy(key)


@pytest.fixture(scope="session")
def other_pgp_key() -> Iterator[PgpKey]:
    """A key that the worker does not have."""
    key = _make_key("stranger@example.com", "another-passphrase")
    yield key
    _destroy(key)
