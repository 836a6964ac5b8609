"""Mounts OpenPGP secrets and opens messages with the key ring that the worker makes of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from octo_core.domain.provider import OpenPgp, Unpack
from octo_worker.credentials import Secrets
from octo_worker.limits import ExpansionMeter
from octo_worker.stages.decrypt import KeyRing, key_ring
from octo_worker.stages.openpgp.small import MAX_MESSAGE
from tests.support.pgp import PgpKey, remove_ring

LARGE = os.urandom(2 * MAX_MESSAGE)
"""A message of this, which cannot be compressed, is not a small one."""


@dataclass(frozen=True, slots=True)
class PgpSecrets:
    """A folder of mounted OpenPGP secrets, and the memory beside it."""

    folder: Path

    @property
    def memory(self) -> Path:
        """What the run's memory-backed volume would be."""
        return self.folder / "m"

    def put(self, name: str, value: bytes | str) -> None:
        """Mount a secret file, such as ``privateKey`` or ``additional/0/passphrase``."""
        path = self.folder / "openpgp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value.encode() if isinstance(value, str) else value)

    def put_key(self, key: PgpKey, folder: str = "") -> None:
        """Mount a private key with its passphrase."""
        self.put(f"{folder}privateKey", key.private)
        if key.passphrase:
            self.put(f"{folder}passphrase", key.passphrase + "\n")

    def ring(self, *, require_signature: bool = False, additional: int = 0) -> AbstractContextManager[KeyRing]:
        """The key ring that the worker makes of them."""
        reference: dict[str, Any] = {"name": "openpgp", "key": "key"}
        settings = OpenPgp.model_validate(
            {
                "requireSignature": require_signature,
                "signerKeysSecretRef": reference if require_signature else None,
                "additionalKeys": [{"keySecretRef": reference}] * additional,
            }
        )
        return key_ring(self.memory, Secrets(self.folder), settings)


@pytest.fixture
def pgp_secrets() -> Iterator[PgpSecrets]:
    """Nothing mounted yet. The memory must be empty again after the test."""
    folder = Path(tempfile.mkdtemp(prefix="octo-ring-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    (folder / "m").mkdir()
    yield PgpSecrets(folder)
    assert list((folder / "m").iterdir()) == []
    remove_ring(folder)


@pytest.fixture
def ring(pgp_secrets: PgpSecrets, pgp_key: PgpKey) -> Iterator[KeyRing]:
    """A ring with the one key that the provider encrypts to."""
    pgp_secrets.put_key(pgp_key)
    with pgp_secrets.ring() as made:
        yield made


def opened(
    ring: KeyRing, message: bytes, *, step: int = 50_000, limits: Unpack | None = None, signed_beside: bool = False
) -> bytes:
    """The plaintext of a message that comes in pieces."""
    meter = ExpansionMeter(len(message), limits or Unpack())
    plaintext = b"".join(ring.decrypt(pieces(message, step), meter, signed_beside=signed_beside))
    assert meter.total == len(plaintext)
    return plaintext


def pieces(data: bytes, step: int = 50_000) -> Iterator[bytes]:
    """Data as it comes from a server."""
    return (data[at : at + step] for at in range(0, len(data), step))


def consume(chunks: Iterable[bytes]) -> bytes:
    """All of a stage's output."""
    return b"".join(chunks)


def descendants() -> dict[int, str]:
    """The processes that this one has started, and those that they have, each with its command."""
    found: dict[int, str] = {}
    todo = [os.getpid()]
    while todo:
        for path in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            try:
                children = [int(word) for word in path.read_text().split()]
                found |= {child: Path(f"/proc/{child}/comm").read_text().strip() for child in children}
            except OSError:  # it has just ended
                continue
            todo += children
    return found
