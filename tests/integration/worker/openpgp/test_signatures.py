"""Whose signature counts, inside a message and beside a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import ConnectionLostError, Failed
from octo_worker.stages.decrypt import MAX_SIGNATURE, KeyRing
from tests.integration.worker.openpgp.conftest import LARGE, PgpSecrets, consume, opened, pieces
from tests.support.pgp import Packet, PgpKey, encrypt_symmetric, gpg, make_key, packets

CSV = b"a,b\n1,2\n" * 500
BESIDE = b"what lies on the server"
LONG_AGO = "20200101T000000"


@dataclass(frozen=True)
class Cast:
    """Who signs."""

    signer: PgpKey
    second: PgpKey
    stranger: PgpKey
    expired: PgpKey
    revoked: PgpKey

    signed_before_it_was_revoked: bytes

    @property
    def signer_keys(self) -> bytes:
        """All but the stranger's; of the second one, a binary block."""
        armored = b"".join(key.public for key in (self.signer, self.expired)) + self.revoked_public
        return armored + self.second.public

    @property
    def revoked_public(self) -> bytes:
        certificate = next((self.revoked.home / "openpgp-revocs.d").glob("*.rev")).read_text()
        gpg(self.revoked.home, certificate.replace(":-----BEGIN", "-----BEGIN").encode(), "--import")
        return gpg(self.revoked.home, b"", "--armor", "--export", self.revoked.user)


@pytest.fixture(scope="module")
def cast(signer_pgp_key: PgpKey, other_pgp_key: PgpKey) -> Iterator[Cast]:
    with ExitStack() as stack:

        def key(user: str, **options: str) -> PgpKey:
            return stack.enter_context(make_key(f"{user}@example.com", "pw", algorithm="ed25519", **options))

        revoked = key("revoked")
        yield Cast(
            signer_pgp_key,
            stack.enter_context(make_key("second@example.com", "pw", algorithm="rsa2048")),
            other_pgp_key,
            key("expired", time=LONG_AGO, expire="1d"),
            revoked,
            revoked.sign(BESIDE),
        )


@pytest.fixture(scope="module")
def sealed(cast: Cast, pgp_key: PgpKey) -> dict[str, bytes]:
    """Small messages by each of them; the revoked key signs before it is revoked."""
    made = {name: getattr(cast, name).seal(CSV, pgp_key) for name in ("signer", "second", "stranger", "revoked")}
    made["expired"] = pgp_key.wrap(cast.expired.sign(CSV, "--faked-system-time", LONG_AGO, "--sign"))
    made["own"] = pgp_key.seal(CSV, pgp_key)
    made["none"] = pgp_key.encrypt(CSV)
    return made


@pytest.fixture
def asking(pgp_secrets: PgpSecrets, pgp_key: PgpKey, cast: Cast, sealed: dict[str, bytes]) -> Iterator[KeyRing]:
    """A ring that requires a signature."""
    pgp_secrets.put_key(pgp_key)
    pgp_secrets.put("signerKeys", cast.signer_keys)
    with pgp_secrets.ring(require_signature=True) as made:
        yield made


@pytest.fixture
def checking(pgp_secrets: PgpSecrets, pgp_key: PgpKey, cast: Cast, sealed: dict[str, bytes]) -> Iterator[KeyRing]:
    """A ring that has signers' keys, and requires nothing."""
    pgp_secrets.put_key(pgp_key)
    pgp_secrets.put("signerKeys", cast.signer_keys)
    with pgp_secrets.ring() as made:
        yield made


def refused(ring: KeyRing, message: bytes, *, signed_beside: bool = False) -> str:
    with pytest.raises(Failed) as caught:
        opened(ring, message, signed_beside=signed_beside)
    assert caught.value.category is Category.INTEGRITY
    return caught.value.detail


@pytest.mark.parametrize("name", ["signer", "second"])
def test_a_signers_signature_inside(
    asking: KeyRing, cast: Cast, pgp_key: PgpKey, sealed: dict[str, bytes], name: str
) -> None:
    assert opened(asking, sealed[name]) == CSV
    assert opened(asking, getattr(cast, name).seal(LARGE, pgp_key)) == LARGE
    assert opened(asking, getattr(cast, name).seal(CSV, pgp_key, "--textmode")) == CSV


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "a signature is required, and the message has none"),
        ("stranger", "signed by key {}, which is not among openpgp/signerKeys"),
        ("own", "signed by key {}, which is not among openpgp/signerKeys"),
        ("expired", "signed by key {}, which has expired"),
        ("revoked", "signed by key {}, which is revoked"),
    ],
)
def test_no_other_signature_counts(
    asking: KeyRing, cast: Cast, pgp_key: PgpKey, sealed: dict[str, bytes], name: str, said: str
) -> None:
    by = pgp_key if name == "own" else getattr(cast, name, None)
    assert said.format(by.fingerprint[-16:] if by else "") in refused(asking, sealed[name])


def test_nothing_is_asked_inside_if_there_is_one_beside(asking: KeyRing, sealed: dict[str, bytes]) -> None:
    for message in sealed.values():
        assert opened(asking, message, signed_beside=True) == CSV


@pytest.mark.parametrize("name", ["signer", "stranger", "own", "expired", "revoked", "none"])
def test_what_cannot_be_checked_fails_nothing_unless_asked_for(
    checking: KeyRing, ring_without_signers: KeyRing, sealed: dict[str, bytes], name: str
) -> None:
    assert opened(checking, sealed[name]) == CSV
    assert opened(ring_without_signers, sealed[name]) == CSV


@pytest.fixture
def ring_without_signers(pgp_secrets: PgpSecrets, pgp_key: PgpKey) -> Iterator[KeyRing]:
    other = PgpSecrets(pgp_secrets.folder / "o")
    other.memory.mkdir(parents=True)
    other.put_key(pgp_key)
    with other.ring() as made:
        yield made


def forged(by: PgpKey, to: PgpKey) -> bytes:
    """A message with a signature by that key, over other data than it holds."""
    good = packets(by.sign(CSV, "--compress-algo", "none", "--sign"))
    assert [packet.tag for packet in good] == [4, 11, 2]
    bad = Packet(11, good[1].body.replace(b"1,2", b"1,9"))
    inside = b"".join(packet.encoded() for packet in (good[0], bad, good[2]))
    return to.wrap(inside)


def test_a_bad_signature_by_a_signer(asking: KeyRing, checking: KeyRing, cast: Cast, pgp_key: PgpKey) -> None:
    message = forged(cast.signer, pgp_key)
    for ring in (asking, checking):
        assert f"the signature by key {cast.signer.fingerprint[-16:]} is bad" in refused(ring, message)
    assert "is bad" in refused(asking, message, signed_beside=True)


def test_a_bad_signature_by_a_stranger(asking: KeyRing, checking: KeyRing, cast: Cast, pgp_key: PgpKey) -> None:
    message = forged(cast.stranger, pgp_key)
    assert "not among openpgp/signerKeys" in refused(asking, message)
    assert opened(checking, message) == CSV.replace(b"1,2", b"1,9")


def test_a_signers_key_signature_is_no_signature_over_data(asking: KeyRing, cast: Cast, pgp_key: PgpKey) -> None:
    certificate = packets(gpg(cast.signer.home, b"", "--export", cast.signer.user))
    self_signature = next(packet for packet in certificate if packet.tag == 2)
    literal = packets(gpg(cast.signer.home, CSV, "--compress-algo", "none", "--store"))[-1]
    inside = self_signature.encoded() + literal.encoded()
    refused(asking, pgp_key.wrap(inside))


def test_a_message_that_breaks_off_does_not_pass_as_one_with_an_unknown_signature(
    checking: KeyRing, cast: Cast, pgp_key: PgpKey
) -> None:
    parts = packets(cast.stranger.sign(CSV, "--compress-algo", "none", "--sign"))
    short = Packet(11, parts[1].body).encoded()[:-400]
    refused(checking, pgp_key.wrap(parts[0].encoded() + short))
    twice = b"".join(packet.encoded() for packet in (parts[0], parts[1], parts[2], parts[1]))
    refused(checking, pgp_key.wrap(twice))


def test_a_signed_message_is_no_encrypted_one(asking: KeyRing, cast: Cast) -> None:
    for how in (("--sign",), ("--sign", "--armor"), ("--clearsign",)):
        with pytest.raises(Failed, match="not encrypted") as caught:
            opened(asking, cast.signer.sign(CSV, *how))
        assert caught.value.category is Category.DECRYPT


def test_symmetric_and_signed(asking: KeyRing, cast: Cast, pgp_key: PgpKey) -> None:
    key = cast.signer
    gpg(key.home, b"", "--list-keys")
    inside = key.sign(CSV, "--compress-algo", "none", "--sign")
    message = encrypt_symmetric(key.home, inside, pgp_key.passphrase, "--no-literal", "--compress-algo", "none")
    assert opened(asking, message) == CSV


@pytest.mark.parametrize("data", [b"", CSV, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("how", [(), ("--armor",), ("--textmode",)], ids=["binary", "armored", "text"])
def test_a_signature_beside(asking: KeyRing, cast: Cast, data: bytes, how: tuple[str, ...]) -> None:
    signature = cast.signer.sign(data, *how, "--detach-sign")
    assert consume(asking.verify_detached(signature, pieces(data))) == data


def test_what_comes_out_of_a_file_with_a_signature_beside(asking: KeyRing, cast: Cast, pgp_key: PgpKey) -> None:
    message = pgp_key.encrypt(CSV)
    chunks = asking.verify_detached(cast.signer.sign(message), pieces(message))
    assert opened(asking, consume(chunks), signed_beside=True) == CSV


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("other file", "is bad"),
        ("longer", "is bad"),
        ("stranger", "not among openpgp/signerKeys"),
        ("expired", "has expired"),
        ("revoked", "is revoked"),
        ("garbage", "not among openpgp/signerKeys"),
        ("empty", "not a detached signature"),
        ("huge", "not a detached signature"),
        ("signed message", "holds no signature"),
        ("clearsigned", "holds no signature"),
        ("encrypted", "holds no signature"),
        ("cut", "OpenPGP"),
    ],
)
def test_signatures_beside_that_do_not_count(
    asking: KeyRing, cast: Cast, pgp_key: PgpKey, kind: str, said: str
) -> None:
    data = BESIDE
    make: dict[str, Callable[[], bytes]] = {
        "other file": lambda: cast.signer.sign(b"another"),
        "longer": lambda: cast.signer.sign(data + b"\n"),
        "stranger": lambda: cast.stranger.sign(data),
        "expired": lambda: cast.expired.sign(data, "--faked-system-time", LONG_AGO, "--detach-sign"),
        "revoked": lambda: cast.signed_before_it_was_revoked,
        "garbage": lambda: b"\x88" + bytes(200),
        "empty": lambda: b"",
        "huge": lambda: bytes(MAX_SIGNATURE + 1),
        "signed message": lambda: cast.signer.sign(data, "--sign"),
        "clearsigned": lambda: cast.signer.sign(b"text\n", "--clearsign"),
        "encrypted": lambda: cast.signer.seal(data, pgp_key),
        "cut": lambda: cast.signer.sign(data)[:-3],
    }
    signature = make[kind]()
    read: list[bytes] = []
    with pytest.raises(Failed, match=said) as caught:
        read.extend(asking.verify_detached(signature, pieces(data)))
    assert caught.value.category is Category.INTEGRITY
    assert b"".join(read) in (b"", data)


def test_what_the_download_says_wins_over_the_signature(asking: KeyRing, cast: Cast) -> None:
    def broken() -> Iterator[bytes]:
        yield CSV
        raise ConnectionLostError("the connection broke")

    with pytest.raises(ConnectionLostError):
        consume(asking.verify_detached(cast.signer.sign(CSV), broken()))


def test_signer_keys_that_are_none(pgp_secrets: PgpSecrets, pgp_key: PgpKey) -> None:
    pgp_secrets.put_key(pgp_key)
    pgp_secrets.put("signerKeys", "not a key")
    with pytest.raises(Failed, match="signerKeys holds no OpenPGP public key") as caught, pgp_secrets.ring():
        pass
    assert caught.value.category is Category.CONFIG
