"""Armor, the agent's protocol, and the keys in its files."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.stages.openpgp import armor
from octo_worker.stages.openpgp.assuan import ends_reply, escape, unescape
from octo_worker.stages.openpgp.relay import open_session_key, rsa_key

ARMORED = b"-----BEGIN PGP MESSAGE-----\n\nabcd\n-----END PGP MESSAGE-----"


def pieces(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


@given(st.integers(1, 100), st.text("\n\r\t \0\x1a").map(str.encode))
def test_an_armor_may_end_in_space(step: int, space: bytes) -> None:
    data = b"before\n" + ARMORED + space
    assert b"".join(armor.whole(iter(pieces(data, step)))) == data


@given(st.integers(1, 100), st.binary(max_size=60), st.sampled_from([b"x", b"-", b"\x85", ARMORED]))
def test_nothing_else_may_follow_an_armor(step: int, middle: bytes, end: bytes) -> None:
    data = ARMORED + middle + end
    read: list[bytes] = []
    with pytest.raises(Failed, match="goes on") as caught:
        read.extend(armor.whole(iter(pieces(data, step))))
    assert caught.value.category is Category.INTEGRITY


@given(st.integers(1, 100), st.binary())
def test_what_is_binary_passes(step: int, data: bytes) -> None:
    data = b"\x85" + data + ARMORED + b"\n" + ARMORED
    assert b"".join(armor.whole(iter(pieces(data, step)))) == data


@given(st.binary())
def test_data_lines(data: bytes) -> None:
    assert unescape(escape(data)) == data
    assert not set(escape(data)) & set(b"\r\n")


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        *((line, True) for line in (b"OK\n", b"OK done\n", b"ERR 1 x\n", b"INQUIRE X\n", b"")),
        *((line, False) for line in (b"S OK\n", b"D OK\n", b"OKAY\n", b"# OK\n")),
    ],
)
def test_the_end_of_a_reply(line: bytes, ends: bool) -> None:
    assert ends_reply(line) is ends


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def file_of(key: rsa.RSAPrivateKey) -> str:
    """As gpg-agent writes it, with its line breaks inside of numbers."""
    numbers = key.private_numbers()
    named = {
        "n": numbers.public_numbers.n,
        "e": numbers.public_numbers.e,
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
    }
    fields = []
    for name, value in named.items():
        digits = f"00{value:X}" if len(f"{value:X}") % 2 == 0 else f"0{value:X}"
        fields.append(f"({name}\n  #" + "\n ".join(digits[at : at + 60] for at in range(0, len(digits), 60)) + "#)")
    return "Created: 20260102T030405\nKey: (private-key (rsa " + "\n  ".join(fields) + "))\n"


def test_a_key_file(key: rsa.RSAPrivateKey) -> None:
    read = rsa_key(file_of(key))
    assert read is not None
    assert read.private_numbers() == key.private_numbers()


@pytest.mark.parametrize(
    ("old", "new"),
    [("(private-key", "(protected-private-key"), ("(rsa", "(ecc"), ("(q\n", "(x\n"), ("Key:", "Kee:"), ("#)", ")")],
)
def test_what_is_no_open_rsa_key(key: rsa.RSAPrivateKey, old: str, new: str) -> None:
    assert rsa_key(file_of(key).replace(old, new)) is None


def test_a_key_whose_numbers_do_not_agree(key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(65537, 2048)
    mixed = file_of(key).split("(p\n")[0] + "(p\n" + file_of(other).split("(p\n")[1]
    assert rsa_key(mixed) is None


def asked(number: bytes, said: int | None = None) -> bytes:
    return b"(7:enc-val(3:rsa(1:a%d:%s)))" % (len(number) if said is None else said, number)


@given(st.binary(min_size=1, max_size=200))
def test_a_session_key(key: rsa.RSAPrivateKey, secret: bytes) -> None:
    number = key.public_key().encrypt(secret, PKCS1v15())
    expected = b"(5:value%d:%s)" % (len(secret), secret)
    for form in (number, b"\0" + number, number.lstrip(b"\0")):
        assert open_session_key(key, asked(form)) == expected
        assert open_session_key(key, asked(form) + b"\0") == expected


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_ciphertext_can_be_asked_about(key: rsa.RSAPrivateKey, number: bytes, said: int) -> None:
    for ciphertext in (number, asked(number), asked(number, said), asked(b"\xff" * 256), asked(b"x" * 300)):
        answer = open_session_key(key, ciphertext)
        assert answer is None or answer.startswith(b"(5:value")
