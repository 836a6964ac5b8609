"""What is made of gpg's words, line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.stages.openpgp.verdict import (
    Line,
    Signers,
    good_beyond_doubt,
    judge_detached,
    judge_message,
    passphrase_fits,
    status_line,
)

PRIMARY, SUBKEY, STRANGER = "A" * 40, "B" * 40, "C" * 40
SIGNERS = Signers(frozenset({PRIMARY}), frozenset({PRIMARY, SUBKEY}))
NOBODY = Signers()


def lines(text: str) -> list[Line]:
    """Status lines, one a line; those that begin with ``gpg:`` are of the log."""
    raw = (line.strip() for line in text.strip().splitlines())
    read = (status_line((line if line.startswith("gpg:") else f"[GNUPG:] {line}").encode()) for line in raw)
    return [line for line in read if line is not None]


BEGIN = """
    ENC_TO B408AC93F61FEC5D 18 0
    DECRYPTION_KEY BBBB AAAA -
    BEGIN_DECRYPTION
    DECRYPTION_INFO 2 9 0
    PLAINTEXT 62 1795473882
    PLAINTEXT_LENGTH 6
"""
END = """
    DECRYPTION_OKAY
    GOODMDC
    END_DECRYPTION
"""
GOOD = BEGIN + END


def signature(verdict: str = "GOODSIG", primary: str = PRIMARY, kind: str = "00") -> str:
    return f"""
    NEWSIG
    {verdict} {primary[-16:]} someone
    VALIDSIG {primary} 2026-01-02 1795473882 0 4 0 22 10 {kind} {primary}
    """


def unknown(key: str = STRANGER) -> str:
    return f"""
    NEWSIG
    gpg: Signature made Mon Nov 23 23:03:56 2026 UTC
    gpg:                using EDDSA key {key}
    ERRSIG {key[-16:]} 22 10 00 1795473882 9 {key}
    NO_PUBKEY {key[-16:]}
    gpg: Can't check signature: No public key
    """


def failure(code: int, text: str, signers: Signers = NOBODY, *, signed: bool = False) -> Failed:
    with pytest.raises(Failed) as caught:
        judge_message(code, lines(text), signers, signed=signed)
    return caught.value


def test_good_messages() -> None:
    judge_message(0, lines(GOOD), NOBODY, signed=False)
    assert good_beyond_doubt(lines("FILE_START 3 x.gpg" + GOOD + "FILE_DONE"), NOBODY, signed=False)
    aead = GOOD.replace("DECRYPTION_INFO 2 9 0", "DECRYPTION_INFO 0 9 2")
    judge_message(0, lines(aead), NOBODY, signed=False)
    judge_message(0, lines(aead.replace("GOODMDC", "")), NOBODY, signed=False)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (GOOD, 1),
        (GOOD, 2),
        (GOOD.replace("GOODMDC", ""), 0),
        (GOOD.replace("DECRYPTION_OKAY", ""), 0),
        (GOOD.replace("PLAINTEXT 62 1795473882", ""), 0),
        (GOOD + "DECRYPTION_FAILED", 0),
        (GOOD + "BADMDC", 0),
        (GOOD + GOOD, 0),
        (GOOD + "PLAINTEXT 62 0", 0),
        (GOOD + "DECRYPTION_OKAY", 0),
        ("PLAINTEXT 62 0", 0),
        ("", 0),
    ],
)
def test_nothing_less_is_good(text: str, code: int) -> None:
    failure(code, text)


@given(st.sets(st.integers(0, len(lines(GOOD)) - 1), min_size=1))
def test_no_part_of_what_matters_may_lack(left_out: set[int]) -> None:
    matters = {"BEGIN_DECRYPTION", "DECRYPTION_INFO", "PLAINTEXT", "DECRYPTION_OKAY", "GOODMDC"}
    rest = [line for number, line in enumerate(lines(GOOD)) if number not in left_out]
    lacking = matters - {line[0] for line in rest}
    if lacking - {"BEGIN_DECRYPTION", "DECRYPTION_INFO"}:
        assert not good_beyond_doubt(rest, NOBODY, signed=False)


@pytest.mark.parametrize(
    "more",
    ["NODATA 3", "ERROR x 1", "FAILURE y 2", "WARNING z", "NEWS", "gpg: problem reading source", "gpg: Good grief"],
)
def test_a_word_too_many_is_a_doubt(more: str) -> None:
    assert not good_beyond_doubt(lines(BEGIN + more + END), NOBODY, signed=False)


@pytest.mark.parametrize(
    ("text", "code", "category", "said"),
    [
        (BEGIN + "BADMDC", 2, Category.INTEGRITY, "altered"),
        (BEGIN.replace("INFO 2", "INFO 0") + "DECRYPTION_FAILED", 2, Category.INTEGRITY, "no integrity protection"),
        (BEGIN + "DECRYPTION_FAILED", 2, Category.INTEGRITY, "damaged or cut short"),
        (GOOD + "NODATA 3", 2, Category.INTEGRITY, "goes on after the end"),
        (BEGIN + "ERROR decryption.early_plaintext 89" + END, 2, Category.INTEGRITY, "more than one message"),
        ("ENC_TO 0123456789ABCDEF 1 0\nBEGIN_DECRYPTION\nDECRYPTION_FAILED", 2, Category.DECRYPT, "0123456789ABCDEF"),
        ("NEED_PASSPHRASE_SYM 9 3 2\nERROR symkey_decrypt.maybe_error 11_BAD_PASSPHRASE", 2, Category.DECRYPT, "wrong"),
        ("NEED_PASSPHRASE_SYM 9 3 2\nINQUIRE_MAXLEN 100", 2, Category.DECRYPT, "none is given"),
        ("NODATA 1\nNODATA 2", 2, Category.DECRYPT, "not an OpenPGP message"),
        ("PLAINTEXT 62 0", 0, Category.DECRYPT, "not encrypted"),
        ("ENC_TO 0123456789ABCDEF 1 0", -9, Category.INFRA, "killed by signal 9"),
        (GOOD, -9, Category.INFRA, "killed by signal 9"),
    ],
)
def test_what_is_said_of_bad_messages(text: str, code: int, category: Category, said: str) -> None:
    caught = failure(code, text)
    assert caught.category is category
    assert said in caught.detail


@pytest.mark.parametrize(
    ("inside", "code", "signed", "said"),
    [
        (signature(), 0, True, None),
        (signature(kind="01"), 0, True, None),
        (signature(kind="13"), 0, True, "not over data"),
        (signature(primary=STRANGER), 0, True, "not among openpgp/signerKeys"),
        (signature(primary=STRANGER), 0, False, None),
        (signature("EXPSIG"), 0, True, "the signature by key AAAAAAAAAAAAAAAA has expired"),
        (signature("EXPKEYSIG"), 0, True, "which has expired"),
        (signature("REVKEYSIG"), 0, True, "which is revoked"),
        (signature("REVKEYSIG"), 0, False, None),
        ("NEWSIG\nBADSIG BBBBBBBBBBBBBBBB x", 1, True, "is bad"),
        ("NEWSIG\nBADSIG BBBBBBBBBBBBBBBB x", 1, False, "is bad"),
        (signature() + "NEWSIG\nBADSIG BBBBBBBBBBBBBBBB x", 1, True, "is bad"),
        # The second verdict of one signature is not to be believed.
        ("NEWSIG\nERRSIG AAAAAAAAAAAAAAAA 1 1 00 1 4 -" + signature().replace("NEWSIG", ""), 0, True, "cannot be"),
        # Not one of the two is good alone.
        ("NEWSIG\nGOODSIG AAAAAAAAAAAAAAAA x" + signature(primary=STRANGER), 0, True, "no signature by a signer"),
        (unknown(), 2, False, None),
        (unknown(), 2, True, "not among openpgp/signerKeys"),
        (unknown(SUBKEY), 2, True, "cannot be checked"),
        (unknown() + signature(), 2, True, None),
        (unknown() + "gpg: handle plaintext failed: x", 2, False, "malformed"),
        (unknown() + "ERROR x 1", 2, False, "malformed"),
        (unknown(), 1, False, "malformed"),
        ("", 0, True, "the message has none"),
    ],
)
def test_signatures(inside: str, code: int, signed: bool, said: str | None) -> None:
    text = BEGIN + inside + END
    if said is None:
        judge_message(code, lines(text), SIGNERS, signed=signed)
    else:
        caught = failure(code, text, SIGNERS, signed=signed)
        assert caught.category is Category.INTEGRITY
        assert said in caught.detail
        assert not good_beyond_doubt(lines(text), SIGNERS, signed=signed)


def test_a_signature_beside() -> None:
    judge_detached(0, lines(signature()), SIGNERS)
    for code, text in (
        (1, signature()),
        (0, signature() + "PLAINTEXT 62 0"),
        (0, signature(primary=STRANGER)),
        (2, unknown()),
        (1, "NEWSIG\nBADSIG AAAAAAAAAAAAAAAA x"),
        (2, "NODATA 4"),
        (0, ""),
    ):
        with pytest.raises(Failed) as caught:
            judge_detached(code, lines(text), SIGNERS)
        assert caught.value.category is Category.INTEGRITY


def test_a_short_key_id_is_nobodys() -> None:
    assert SIGNERS.know(SUBKEY[-16:])
    assert SIGNERS.know(SUBKEY)
    assert not SIGNERS.know(SUBKEY[-8:])
    assert not SIGNERS.know("")


def test_whether_a_passphrase_fits() -> None:
    assert passphrase_fits(lines(GOOD)) is None
    assert passphrase_fits(lines("NEED_PASSPHRASE_SYM 9 3 2\nBEGIN_DECRYPTION\nDECRYPTION_FAILED")) is False
    assert passphrase_fits(lines("NEED_PASSPHRASE_SYM 9 3 2" + BEGIN + "DECRYPTION_FAILED")) is True


@given(st.binary())
def test_any_line_can_be_read(raw: bytes) -> None:
    line = status_line(raw)
    assert line is None or line[0]
