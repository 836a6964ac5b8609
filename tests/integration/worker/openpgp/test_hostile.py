"""Messages that are not what they should be: none may be taken for good, whichever way it is opened."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.stages.decrypt import KeyRing
from tests.integration.worker.openpgp.conftest import LARGE, PgpSecrets, opened
from tests.support.pgp import Packet, PgpKey, encrypt_symmetric, gpg, make_key, packets

CSV = b"a,b\n1,2\n" * 20
FLIPS = 240
MDC = 22


@pytest.fixture(scope="module")
def curve_key() -> Iterator[PgpKey]:
    """Its messages are the shortest."""
    with make_key("curve@example.com", "pw", algorithm="ed25519") as key:
        yield key


@pytest.fixture
def ring(pgp_secrets: PgpSecrets, pgp_key: PgpKey, curve_key: PgpKey) -> Iterator[KeyRing]:
    pgp_secrets.put_key(pgp_key)
    pgp_secrets.put_key(curve_key, "additional/0/")
    with pgp_secrets.ring(additional=1) as made:
        yield made


def refused(ring: KeyRing, message: bytes) -> Failed:
    with pytest.raises(Failed) as caught:
        opened(ring, message)
    assert caught.value.category in (Category.INTEGRITY, Category.DECRYPT)
    return caught.value


def test_no_flipped_bit_goes_unnoticed(ring: KeyRing, pgp_key: PgpKey, curve_key: PgpKey) -> None:
    """A flip is harmless only where it changes nothing that gpg reads; then the plaintext is the same."""
    chosen = random.Random(20260102)
    messages = [pgp_key.encrypt(CSV), curve_key.encrypt(CSV), curve_key.encrypt(CSV, "--armor")]
    harmless = []
    categories = set()
    for number in range(FLIPS):
        kind = number % len(messages)
        message = bytearray(messages[kind])
        at = chosen.randrange(len(message))
        message[at] ^= 1 << chosen.randrange(8)
        try:
            plaintext = opened(ring, bytes(message))
        except Failed as failure:
            categories.add(failure.category)
        else:
            assert plaintext == CSV
            harmless.append((kind, at))
    assert categories == {Category.INTEGRITY, Category.DECRYPT}
    # In binary only a few bytes at the start are not covered: a packet's version, the old form of a length. In an
    # armor also its text around the base64.
    binary = [at for kind, at in harmless if kind < 2]
    assert len(binary) <= 2
    assert len(harmless) <= FLIPS // 10
    assert [opened(ring, message) for message in messages] == [CSV] * 3


def test_no_cut_goes_unnoticed(ring: KeyRing, curve_key: PgpKey) -> None:
    message = curve_key.encrypt(CSV)
    assert len(message) < 300
    for length in range(len(message)):
        refused(ring, message[:length])
    armored = curve_key.encrypt(CSV, "--armor")
    end = armored.index(b"=", -50)
    for length in range(end - 60, end, 7):
        refused(ring, armored[:length])


@pytest.mark.parametrize("lost", [1, 21, 22, 23, 5000, 400_000])
def test_no_cut_of_a_large_message_goes_unnoticed(ring: KeyRing, pgp_key: PgpKey, lost: int) -> None:
    failure = refused(ring, pgp_key.encrypt(LARGE)[:-lost])
    assert failure.category is Category.INTEGRITY
    assert "cut short" in failure.detail or "altered" in failure.detail


@pytest.mark.parametrize("data", [CSV, LARGE], ids=["small", "large"])
def test_without_its_modification_detection_code(ring: KeyRing, pgp_key: PgpKey, data: bytes) -> None:
    session_key, sealed = packets(pgp_key.encrypt(data))
    assert (session_key.tag, sealed.tag) == (1, 18)
    assert opened(ring, session_key.encoded() + sealed.encoded()) == data
    cut = Packet(18, sealed.body[:-MDC])
    assert refused(ring, session_key.encoded() + cut.encoded()).category is Category.INTEGRITY
    # As the packet that never had one.
    downgraded = Packet(9, sealed.body[1:-MDC])
    assert refused(ring, session_key.encoded() + downgraded.encoded()).category is Category.INTEGRITY


@pytest.mark.parametrize("data", [CSV, LARGE], ids=["small", "large"])
def test_legacy_messages(ring: KeyRing, pgp_key: PgpKey, data: bytes) -> None:
    failure = refused(ring, pgp_key.encrypt(data, "--rfc2440", "--disable-mdc"))
    assert (failure.category, "no integrity protection" in failure.detail) == (Category.INTEGRITY, True)


@pytest.mark.parametrize("armor", [(), ("--armor",)], ids=["binary", "armored"])
@pytest.mark.parametrize("data", [CSV, LARGE], ids=["small", "large"])
def test_more_than_one_message(ring: KeyRing, pgp_key: PgpKey, data: bytes, armor: tuple[str, ...]) -> None:
    message = pgp_key.encrypt(data, *armor)
    for failure in (refused(ring, message + message), refused(ring, message + pgp_key.encrypt(b"x"))):
        assert failure.category is Category.INTEGRITY


@pytest.mark.parametrize("after", [b"\0", b"\r\n", b"garbage", bytes(600), b"\x85\x01", b"\xac\x02"])
def test_bytes_after_a_binary_message(ring: KeyRing, pgp_key: PgpKey, after: bytes) -> None:
    assert refused(ring, pgp_key.encrypt(CSV) + after).category is Category.INTEGRITY
    assert refused(ring, pgp_key.encrypt(LARGE) + after).category is Category.INTEGRITY


def test_text_after_an_armored_message(ring: KeyRing, pgp_key: PgpKey) -> None:
    message = pgp_key.encrypt(CSV, "--armor")
    assert opened(ring, b"From a mail\r\n\r\n" + message.replace(b"\n", b"\r\n") + b"\r\n\x1a") == CSV
    assert "goes on" in refused(ring, message + b"-----BEGIN PGP MESSAG").detail
    assert "goes on" in refused(ring, message + b"\n\n" + bytes(600) + b"x").detail


@pytest.mark.parametrize(
    "plain", [b"", b"a,b\n1,2\n", b"\x85", bytes(100), b"-----BEGIN PGP MESSAGE-----\n\n", b"\x1f\x8b\x08" + bytes(50)]
)
def test_what_is_no_message(ring: KeyRing, plain: bytes) -> None:
    assert refused(ring, plain).category is Category.DECRYPT


def test_what_is_not_encrypted(ring: KeyRing, pgp_key: PgpKey) -> None:
    literal = gpg(pgp_key.home, CSV, "--store")
    assert "not encrypted" in refused(ring, literal).detail
    refused(ring, literal + pgp_key.encrypt(CSV))
    refused(ring, pgp_key.public)
    refused(ring, pgp_key.private)


def test_a_message_in_a_message(ring: KeyRing, pgp_key: PgpKey) -> None:
    assert "more than one message" in refused(ring, pgp_key.wrap(pgp_key.encrypt(CSV))).detail


def test_content_that_is_malformed_in_a_message_that_is_whole(ring: KeyRing, pgp_key: PgpKey) -> None:
    """gpg's status lines find no fault with these; its exit code does."""
    (literal,) = packets(gpg(pgp_key.home, CSV, "--compress-algo", "none", "--store"))
    assert opened(ring, pgp_key.wrap(literal.encoded())) == CSV
    for inside in (
        literal.encoded()[:-40],
        literal.encoded()[:20],
        literal.encoded() * 2,
        literal.encoded() + b"garbage",
        b"\xcb\xe6" + b"b\0" + bytes(80),
        b"\xa3\x02\x78\x9c" + bytes(40),
        b"garbage",
        b"",
    ):
        refused(ring, pgp_key.wrap(inside))


@pytest.mark.parametrize("data", [CSV, LARGE], ids=["small", "large"])
def test_to_another_key(ring: KeyRing, other_pgp_key: PgpKey, data: bytes) -> None:
    failure = refused(ring, other_pgp_key.encrypt(data))
    assert (failure.category, "key that is not here" in failure.detail) == (Category.DECRYPT, True)


def test_to_another_passphrase(ring: KeyRing, pgp_key: PgpKey) -> None:
    failure = refused(ring, encrypt_symmetric(pgp_key.home, CSV, "none of ours"))
    assert (failure.category, "passphrase is wrong" in failure.detail) == (Category.DECRYPT, True)


def test_a_session_key_of_another_message(ring: KeyRing, pgp_key: PgpKey) -> None:
    one, other = packets(pgp_key.encrypt(CSV)), packets(pgp_key.encrypt(CSV))
    refused(ring, one[0].encoded() + other[1].encoded())


def test_names_in_messages_go_nowhere(ring: KeyRing, pgp_key: PgpKey, pgp_secrets: PgpSecrets) -> None:
    for name in ("../../escaped", "/tmp/escaped-from-octo", "a\nb.gpg"):
        assert opened(ring, pgp_key.encrypt(CSV, "--set-filename", name)) == CSV
    assert not list(pgp_secrets.folder.rglob("*escaped*"))
