"""Messages, keys and signatures of other implementations: Sequoia and RNP; gpg's own are in the other modules."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.stages.decrypt import KeyRing
from tests.integration.worker.openpgp.conftest import LARGE, PgpSecrets, consume, opened, pieces
from tests.support.pgp import PgpKey, make_key, packets

CSV = b"a,b\n1,2\n" * 500
PASSPHRASE = "of the other tools"
UNPADDED = ("--compression", "none")
AEAD = 20
"""The packet of RNP's and gpg 2.3's AEAD messages."""


def run(*command: str | Path, data: bytes = b"") -> bytes:
    """A tool's output."""
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


class Tool:
    """An implementation that sends to one of our keys, and signs with one of its own."""

    private: bytes
    public: bytes

    def encrypt(self, data: bytes, to: PgpKey, *options: str, signed: bool = False) -> bytes:
        """A binary message, unless the options say otherwise."""
        raise NotImplementedError

    def to_passphrase(self, data: bytes, passphrase: str) -> bytes:
        """A symmetric message."""
        raise NotImplementedError

    def to_itself(self, data: bytes) -> bytes:
        """A message to the key in ``private``, which has ``PASSPHRASE`` or none."""
        raise NotImplementedError

    def sign(self, data: bytes) -> bytes:
        """A detached signature."""
        raise NotImplementedError


@dataclass
class Sequoia(Tool):
    """Without its padding, unless the options ask for it: see ``test_sequoias_padding``."""

    folder: Path

    def __post_init__(self) -> None:
        self.key, self.cert = self.folder / "sq.key", self.folder / "sq.cert"
        run("sq", "key", "generate", "-u", "sq@example.com", "--export", self.key)
        run("sq", "key", "extract-cert", "-o", self.cert, self.key)
        self.private, self.public = self.key.read_bytes(), self.cert.read_bytes()

    def encrypt(self, data: bytes, to: PgpKey, *options: str, signed: bool = False) -> bytes:
        recipient = self.folder / f"{to.user}.cert"
        recipient.write_bytes(to.public)
        form = () if "--armor" in options else ("--binary",)
        rest = tuple(option for option in options if option != "--armor") or UNPADDED
        signer = ("--signer-key", self.key) if signed else ()
        return run("sq", "encrypt", *form, *rest, *signer, "--recipient-cert", recipient, data=data)

    def to_passphrase(self, data: bytes, passphrase: str) -> bytes:
        # It asks on a terminal only, so it is given one.
        made = self.folder / "symmetric"
        plain = self.folder / "plain"
        plain.write_bytes(data)
        talk = f"sq -f encrypt --symmetric --binary {' '.join(UNPADDED)} -o {made} {plain}"
        run("script", "-qec", talk, "/dev/null", data=f"{passphrase}\n{passphrase}\n".encode())
        return made.read_bytes()

    def to_itself(self, data: bytes) -> bytes:
        return run("sq", "encrypt", "--binary", *UNPADDED, "--recipient-cert", self.cert, data=data)

    def sign(self, data: bytes) -> bytes:
        return run("sq", "sign", "--detached", "--signer-key", self.key, data=data)


@dataclass
class Rnp(Tool):
    folder: Path

    def __post_init__(self) -> None:
        self._keys("--generate-key", "--userid", "rnp@example.com")
        self.private = self._keys("--export-key", "--secret", "rnp@example.com")
        self.public = self._keys("--export-key", "rnp@example.com")

    def _common(self) -> tuple[str, ...]:
        return ("--homedir", str(self.folder), "--password", PASSPHRASE)

    def _keys(self, *arguments: str) -> bytes:
        return run("rnpkeys", *self._common(), *arguments)

    def _rnp(self, data: bytes, *arguments: str | Path) -> bytes:
        return run("rnp", *self._common(), *arguments, "--output", "-", data=data)

    def encrypt(self, data: bytes, to: PgpKey, *options: str, signed: bool = False) -> bytes:
        path = self.folder / "recipient"
        path.write_bytes(to.public)
        self._keys("--import-keys", str(path))
        signer = ("--sign", "--userid", "rnp@example.com") if signed else ()
        return self._rnp(data, "--encrypt", "--recipient", to.user, *signer, *options)

    def to_passphrase(self, data: bytes, passphrase: str) -> bytes:
        return run(
            *("rnp", "--homedir", self.folder, "--password", passphrase, "--symmetric", "--output", "-"), data=data
        )

    def to_itself(self, data: bytes) -> bytes:
        return self._rnp(data, "--encrypt", "--recipient", "rnp@example.com")

    def sign(self, data: bytes) -> bytes:
        return self._rnp(data, "--sign", "--detach", "--userid", "rnp@example.com")


@pytest.fixture(scope="module", params=[Sequoia, Rnp])
def tool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    made: Tool = request.param(tmp_path_factory.mktemp("tool"))
    return made


@pytest.fixture(scope="module", params=["rsa2048", "ed25519", "nistp256", "nistp521"])
def key(request: pytest.FixtureRequest) -> Iterator[PgpKey]:
    with make_key(f"{request.param}@example.com", "pw", algorithm=request.param) as made:
        yield made


@pytest.fixture
def asking(pgp_secrets: PgpSecrets, key: PgpKey, tool: Tool) -> Iterator[KeyRing]:
    """A ring with the key, that requires a signature by the tool's key."""
    pgp_secrets.put_key(key)
    pgp_secrets.put("signerKeys", tool.public)
    with pgp_secrets.ring(require_signature=True) as made:
        yield made


COMPRESSIONS: dict[type[Tool], list[tuple[str, ...]]] = {
    Sequoia: [("--compression", kind) for kind in ("zip", "zlib", "bzip2")],
    Rnp: [("-z", "0"), ("--zip",), ("--zlib",), ("--bzip",)],
}


def test_messages_to_all_kinds_of_keys(asking: KeyRing, key: PgpKey, tool: Tool) -> None:
    for data in (b"", CSV, LARGE):
        for options in [(), ("--armor",), *COMPRESSIONS[type(tool)]]:
            assert opened(asking, tool.encrypt(data, key, *options), signed_beside=True) == data


def test_signatures_inside_and_beside(asking: KeyRing, key: PgpKey, tool: Tool) -> None:
    for data in (CSV, LARGE):
        assert opened(asking, tool.encrypt(data, key, signed=True)) == data
        assert consume(asking.verify_detached(tool.sign(data), pieces(data))) == data
    with pytest.raises(Failed, match="signature is required") as caught:
        opened(asking, tool.encrypt(CSV, key))
    assert caught.value.category is Category.INTEGRITY
    with pytest.raises(Failed, match="is bad"):
        consume(asking.verify_detached(tool.sign(CSV), pieces(CSV + b"x")))


def test_keys_made_elsewhere(pgp_secrets: PgpSecrets, tool: Tool) -> None:
    pgp_secrets.put("privateKey", tool.private)
    pgp_secrets.put("passphrase", PASSPHRASE)
    with pgp_secrets.ring() as ring:
        for data in (CSV, LARGE):
            assert opened(ring, tool.to_itself(data)) == data


def test_symmetric_messages(pgp_secrets: PgpSecrets, tool: Tool) -> None:
    pgp_secrets.put("passphrase", PASSPHRASE)
    with pgp_secrets.ring() as ring:
        for data in (CSV, LARGE):
            assert opened(ring, tool.to_passphrase(data, PASSPHRASE)) == data
        with pytest.raises(Failed) as caught:
            opened(ring, tool.to_passphrase(CSV, "another"))
    assert caught.value.category in (Category.DECRYPT, Category.INTEGRITY)
    assert "passphrase is wrong" in caught.value.detail


@pytest.mark.parametrize("size", [0, 5000, 200_000, 2_000_000])
def test_sequoias_padding(pgp_secrets: PgpSecrets, pgp_key: PgpKey, tmp_path: Path, size: int) -> None:
    """Sequoia pads messages inside a compressed packet. gpg 2.2 stumbles over more than a little of that, and calls the
    message altered; what it opens must be right."""
    data = (LARGE * 4)[:size]
    message = Sequoia(tmp_path).encrypt(data, pgp_key, "--compression", "pad")
    pgp_secrets.put_key(pgp_key)
    with pgp_secrets.ring() as ring:
        try:
            plaintext = opened(ring, message)
        except Failed as failure:
            if failure.category is not Category.INTEGRITY or size < 250_000:
                raise
        else:
            assert plaintext == data


@pytest.mark.parametrize("mode", ["OCB", "EAX"])
def test_aead(pgp_secrets: PgpSecrets, pgp_key: PgpKey, tmp_path: Path, mode: str) -> None:
    rnp = Rnp(tmp_path)
    pgp_secrets.put_key(pgp_key)
    with pgp_secrets.ring() as ring:
        for data in (CSV, LARGE):
            message = rnp.encrypt(data, pgp_key, f"--aead={mode}", "-z", "0")
            assert packets(message)[-1].tag == AEAD
            assert opened(ring, message) == data
            for at in (len(message) - 1, len(message) - 20, len(message) // 2, len(message) - len(data) // 2):
                flipped = message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]
                for bad in (flipped, message[:at]):
                    with pytest.raises(Failed) as caught:
                        opened(ring, bad)
                    assert caught.value.category is Category.INTEGRITY
