"""Judges a message by what gpg said of it. Pure: status lines in, a verdict out.

gpg's exit code alone says too little, and its output comes before it knows. A message is good if gpg ended well, says
that decryption went well and that integrity was checked, and says that exactly once: nothing less. Nor do the status
lines alone say enough: that a literal packet broke off inside a message that is whole is told by the exit code, and in
the log. So where there is no exit code to go by, every line of the log must be known to be harmless.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from octo_core.domain.failure import Category
from octo_worker.failure import Failed

Line = list[str]
"""A status line's words, the keyword first; or LOG and a line of gpg's log."""

LOG = "LOG"
_PREFIX = b"[GNUPG:] "
_LOG_OF_GOOD_SIGNATURES = re.compile(
    r"gpg: (Signature made |Good signature from | +(using|issuer|aka) |WARNING: Using untrusted key!$)"
)
_LOG_OF_UNCHECKED_SIGNATURES = re.compile(r"gpg: (Can't check signature: |Note: This key has expired!$)")
_SIGNATURE_VERDICTS = ("GOODSIG", "BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG")
_DATA_SIGNATURES = ("00", "01")
"""The classes of signatures over data, binary and text; any other is over a key, or over nothing."""
_SEEN_WITH_GOOD_MESSAGES = frozenset(
    {
        *("ENC_TO", "KEY_CONSIDERED", "DECRYPTION_KEY", "NEED_PASSPHRASE_SYM", "NO_SECKEY"),
        *("BEGIN_DECRYPTION", "DECRYPTION_INFO", "DECRYPTION_COMPLIANCE_MODE", "DECRYPTION_OKAY", "GOODMDC"),
        *("END_DECRYPTION", "PLAINTEXT", "PLAINTEXT_LENGTH", "FILE_START", "FILE_DONE"),
        *("NEWSIG", "SIG_ID", "GOODSIG", "VALIDSIG", "VERIFICATION_COMPLIANCE_MODE"),
        *("TRUST_UNDEFINED", "TRUST_NEVER", "TRUST_MARGINAL", "TRUST_FULLY", "TRUST_ULTIMATE"),
    }
)
_SEEN_WITH_WHOLE_MESSAGES = _SEEN_WITH_GOOD_MESSAGES | {
    *("ERRSIG", "NO_PUBKEY", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "KEYEXPIRED", "KEYREVOKED", "SIGEXPIRED"),
}


def status_line(raw: bytes) -> Line | None:
    """What a line is that gpg wrote to its status pipe, where its log goes too; None for one to pass over."""
    if not raw.startswith(_PREFIX):
        return [LOG, raw.decode("utf-8", "replace").rstrip()] if raw.strip() else None
    words = raw[len(_PREFIX) :].decode("utf-8", "replace").split()
    return words if words and words[0] != "PROGRESS" else None


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signatures count. All are fingerprints: of the primary keys, and of all keys with their subkeys."""

    primaries: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    def know(self, key: str) -> bool:
        """Whether a key id or fingerprint is of one of their keys."""
        return len(key) >= 16 and any(fingerprint.endswith(key) for fingerprint in self.keys)


@dataclass(slots=True)
class Signature:
    """What gpg said of one signature."""

    verdict: str = ""
    key: str = ""
    primary: str = ""
    over_data: bool = False

    def good(self, signers: Signers) -> bool:
        """Whether it is a good signature over data, by a valid key of a signer."""
        return self.verdict == "GOODSIG" and self.over_data and self.primary in signers.primaries


def signatures(status: Sequence[Line]) -> list[Signature]:
    """All signatures that gpg looked at, in their order."""
    found: list[Signature] = []
    for word, *rest in status:
        if word == "NEWSIG" or (not found and word in _SIGNATURE_VERDICTS):
            found.append(Signature())
        if word in _SIGNATURE_VERDICTS and rest:
            # Two verdicts on one signature would be news; the second must not better the first.
            again = found[-1].verdict != ""
            found[-1].verdict, found[-1].key = ("ERRSIG" if again else word), rest[0]
        elif word == "VALIDSIG" and found and len(rest) >= 10:
            found[-1].primary, found[-1].over_data = rest[9], rest[8] in _DATA_SIGNATURES
    return found


def judge_message(code: int, status: Sequence[Line], signers: Signers, *, signed: bool) -> None:
    """Raises unless the message was whole, protected, the only one, and signed as is asked for.

    Without ``signed``, a signature that cannot be checked counts as none. One that is bad never does; gpg calls it
    that only if it has the key.
    """
    _refuse_bad_signatures(status)  # first, as gpg goes no further at one
    _judge_decryption(code, status)
    if signed:
        _judge_signatures(status, signers, none="a signature is required, and the message has none")


def judge_detached(code: int, status: Sequence[Line], signers: Signers) -> None:
    """Raises unless gpg verified a detached signature by a signer."""
    if any(line[0] in ("PLAINTEXT", "BEGIN_DECRYPTION") for line in status):
        # gpg would verify what such a file itself holds, not the data beside it.
        raise Failed(Category.INTEGRITY, "OpenPGP: the signature beside the file is not a detached signature")
    _refuse_bad_signatures(status)
    _judge_signatures(status, signers, none="the file beside it holds no signature that gpg can read")
    if code != 0 and not _only_unchecked_signatures(code, status):
        raise _gave_up(code, Category.INTEGRITY, "could not check the signature beside the file")


def good_beyond_doubt(status: Sequence[Line], signers: Signers, *, signed: bool) -> bool:
    """Whether a message that has no exit code of its own is good: nothing but what good messages come with."""
    for line in status:
        known = _LOG_OF_GOOD_SIGNATURES.match(line[1]) if line[0] == LOG else line[0] in _SEEN_WITH_GOOD_MESSAGES
        if not known:
            return False
    try:
        judge_message(0, status, signers, signed=signed)
    except Failed:
        return False
    return True


def passphrase_fits(status: Sequence[Line]) -> bool | None:
    """Whether the start of a message opened with the passphrase that gpg was given; None if it asked for none."""
    words = {line[0] for line in status}
    if "NEED_PASSPHRASE_SYM" not in words:
        return None
    return "PLAINTEXT" in words


def _judge_decryption(code: int, status: Sequence[Line]) -> None:
    counts = Counter(line[0] for line in status)
    words = {line[0]: line[1:] for line in reversed(status)}
    errors = {line[1] for line in status if line[0] == "ERROR" and len(line) > 1}
    info = words.get("DECRYPTION_INFO")
    aead = info is not None and info[2:3] not in ([], ["0"])
    if "BADMDC" in counts:
        raise Failed(Category.INTEGRITY, "OpenPGP: the message was altered (bad modification detection code)")
    if code < 0:
        raise _gave_up(code, Category.DECRYPT, "could not decrypt the message")
    if counts["BEGIN_DECRYPTION"] > 1 or "decryption.early_plaintext" in errors or "proc_pkt.plaintext" in errors:
        raise Failed(Category.INTEGRITY, "OpenPGP: the file holds more than one message, or data beside it")
    okay = counts["DECRYPTION_OKAY"] == 1 and "DECRYPTION_FAILED" not in counts
    if okay and ("GOODMDC" in counts or aead):
        if counts["PLAINTEXT"] != 1:
            raise Failed(Category.INTEGRITY, "OpenPGP: the message does not hold exactly one file")
        if code == 0 or _only_unchecked_signatures(code, status):
            return
        if "NODATA" in counts or "UNEXPECTED" in counts:
            raise Failed(Category.INTEGRITY, "OpenPGP: the file goes on after the end of the message")
        raise _gave_up(code, Category.INTEGRITY, "finds the message malformed")
    raise _why_not(code, status, counts, info, aead=aead)


def _why_not(code: int, status: Sequence[Line], counts: Counter[str], info: Line | None, *, aead: bool) -> Failed:
    # gpg 2.2 says to whom a message is, and leaves it at that if it has no such key; NO_SECKEY is of other versions.
    keys = ", ".join(sorted({line[1] for line in status if line[0] in ("ENC_TO", "NO_SECKEY") and len(line) > 1}))[:200]
    tried = "DECRYPTION_KEY" in counts or any(line[:2] == ["ERROR", "pkdecrypt_failed"] for line in status)
    symmetric = "NEED_PASSPHRASE_SYM" in counts
    wrong_passphrase = any("BAD_PASSPHRASE" in word for line in status for word in line)
    if wrong_passphrase:
        return Failed(Category.DECRYPT, "OpenPGP: the passphrase is wrong")
    if symmetric and ("MISSING_PASSPHRASE" in counts or "INQUIRE_MAXLEN" in counts):
        return Failed(Category.DECRYPT, "OpenPGP: the message needs a passphrase, and none is given")
    if info is not None and info[:1] == ["0"] and not aead:
        return Failed(Category.INTEGRITY, "OpenPGP: the message has no integrity protection, and is refused")
    if info is not None:
        perhaps = ", or the passphrase is wrong" if symmetric and not counts["PLAINTEXT"] else ""
        return Failed(Category.INTEGRITY, f"OpenPGP: the message is damaged or cut short{perhaps}")
    if keys and not tried:
        return Failed(Category.DECRYPT, f"OpenPGP: the message is encrypted to a key that is not here ({keys})")
    if "MISSING_PASSPHRASE" in counts:
        return Failed(Category.DECRYPT, "OpenPGP: the private key needs a passphrase, and none is given")
    if counts["PLAINTEXT"]:
        return Failed(Category.DECRYPT, "OpenPGP: the message is not encrypted")
    if "NODATA" in counts and not counts["ENC_TO"] and not symmetric:
        return Failed(Category.DECRYPT, "OpenPGP: the file is not an OpenPGP message")
    return _gave_up(code, Category.DECRYPT, "could not decrypt the message")


def _gave_up(code: int, category: Category, what: str) -> Failed:
    if code < 0:
        return Failed(Category.INFRA, f"OpenPGP: gpg was killed by signal {-code}")
    return Failed(category, f"OpenPGP: gpg {what} (exit code {code})")


def _only_unchecked_signatures(code: int, status: Sequence[Line]) -> bool:
    """Whether gpg's exit code 2 says no more than that it lacks the key, or the means, to check a signature."""
    return (
        code == 2
        and any(signature.verdict == "ERRSIG" for signature in signatures(status))
        and all(
            _LOG_OF_GOOD_SIGNATURES.match(line[1]) or _LOG_OF_UNCHECKED_SIGNATURES.match(line[1])
            if line[0] == LOG
            else line[0] in _SEEN_WITH_WHOLE_MESSAGES
            for line in status
        )
    )


def _refuse_bad_signatures(status: Sequence[Line]) -> None:
    for signature in signatures(status):
        if signature.verdict == "BADSIG":
            raise Failed(
                Category.INTEGRITY, f"OpenPGP: the signature by key {signature.key} is bad: not what the signer signed"
            )


def _judge_signatures(status: Sequence[Line], signers: Signers, *, none: str) -> None:
    found = signatures(status)
    if any(signature.good(signers) for signature in found):
        return
    if not found:
        raise Failed(Category.INTEGRITY, f"OpenPGP: {none}")
    reasons = "; ".join(dict.fromkeys(_refused(signature, signers) for signature in found))[:300]
    raise Failed(Category.INTEGRITY, f"OpenPGP: no signature by a signer key: {reasons}")


def _refused(signature: Signature, signers: Signers) -> str:
    key = f"key {signature.key}"
    if signature.verdict == "GOODSIG":
        if signature.primary in signers.primaries:
            return f"the signature by {key} is not over data"
        return f"signed by {key}, which is not among openpgp/signerKeys"
    known = signers.know(signature.key)
    return {
        "EXPSIG": f"the signature by {key} has expired",
        "EXPKEYSIG": f"signed by {key}, which has expired",
        "REVKEYSIG": f"signed by {key}, which is revoked",
        "ERRSIG": f"the signature by {key} cannot be checked"
        if known
        else f"signed by {key}, which is not among openpgp/signerKeys",
    }.get(signature.verdict, "gpg says nothing of a signature")
