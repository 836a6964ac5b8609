"""``octo-worker verify`` where signatures are required: inside of messages, or beside the files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from octo_core.domain.failure import EXIT_CODES, Category
from tests.integration.worker.laptop import Laptop, laptop
from tests.integration.worker.verifying import fails, states, verify
from tests.support.pgp import PgpKey
from tests.support.samples import csv
from tests.support.sftp import Inbox

__all__ = ["laptop"]  # the fixture

DATA = csv(1)


@pytest.fixture
def signed(laptop: Laptop, signer_pgp_key: PgpKey) -> Laptop:
    """A provider whose files must be signed."""
    laptop.provider["spec"]["decrypt"]["openpgp"] |= {
        "requireSignature": True,
        "signerKeysSecretRef": {"name": "bank-signers", "key": "keys"},
    }
    laptop.secret("bank-signers/keys", signer_pgp_key.public)
    return laptop


@pytest.fixture
def never(signed: Laptop) -> Laptop:
    """A provider whose files must be signed, and are stored as they are."""
    pgp = signed.provider["spec"]["decrypt"]["openpgp"]
    pgp["mode"] = "Never"
    for name in ("keySecretRef", "passphraseSecretRef"):
        del pgp[name]
    return signed


@pytest.mark.parametrize("ending", [".sig", ".asc"])
def test_beside_a_message(signed: Laptop, inbox: Inbox, pgp_key: PgpKey, signer_pgp_key: PgpKey, ending: str) -> None:
    message = pgp_key.encrypt(DATA)
    inbox.put("a.csv.gpg", message)
    inbox.put(f"a.csv.gpg{ending}", signer_pgp_key.sign(message))
    done, steps = verify(signed)
    assert (done.code, states(steps, "failed"), states(steps, "skipped")) == (0, set(), set()), steps
    assert steps["signature"]["message"] == f"{inbox.path}/a.csv.gpg{ending} is a good signature by one of the signers"
    assert steps["decrypt"]["message"].endswith(f"{len(message)} bytes become {len(DATA)}")


def test_inside_a_message(signed: Laptop, inbox: Inbox, pgp_key: PgpKey, signer_pgp_key: PgpKey) -> None:
    inbox.put("a.csv.gpg", signer_pgp_key.seal(DATA, pgp_key))
    done, steps = verify(signed)
    assert (done.code, states(steps, "skipped")) == (0, set()), steps
    assert "neither a.csv.gpg.sig nor a.csv.gpg.asc beside it" in steps["signature"]["message"]
    assert steps["decrypt"]["state"] == "ok"


def test_nowhere(signed: Laptop, inbox: Inbox, pgp_key: PgpKey) -> None:
    inbox.put("a.csv.gpg", pgp_key.encrypt(DATA))
    assert "a signature is required, and the message has none" in fails(
        signed, "decrypt", Category.INTEGRITY, skipped=()
    )


def test_beside_a_file_that_is_not_encrypted(never: Laptop, inbox: Inbox, signer_pgp_key: PgpKey) -> None:
    inbox.put("a.csv", DATA)
    inbox.put("a.csv.sig", signer_pgp_key.sign(DATA))
    done, steps = verify(never)
    assert (done.code, states(steps, "skipped")) == (0, {"decrypt"}), steps
    assert steps["signature"]["state"] == "ok"
    done = never.run("run", "--json")
    assert (done.code, never.data()) == (0, {"csv/a.csv": DATA}), done


def test_none_beside_a_file_that_is_not_encrypted(never: Laptop, inbox: Inbox) -> None:
    inbox.put("a.csv", DATA)
    message = fails(never, "signature", Category.INTEGRITY, skipped=("decrypt",))
    assert f"{inbox.path}/a.csv has neither a.csv.sig nor a.csv.asc beside it; have the provider sign" in message


Make = Callable[[PgpKey, bytes], bytes]


def of_another(key: PgpKey, message: bytes) -> bytes:
    return key.sign(message + b"x")


def garbled(_key: PgpKey, _message: bytes) -> bytes:
    return b"no signature at all"


def too_long(_key: PgpKey, _message: bytes) -> bytes:
    return b"-" * (300 << 10)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(of_another, "is bad: not what the signer signed; check that", id="of-another"),
        pytest.param(garbled, "no signature that gpg can read; check that", id="garbled"),
        pytest.param(too_long, "is too long for a detached signature", id="too-long"),
    ],
)
def test_a_bad_one_beside_a_message(
    signed: Laptop, inbox: Inbox, pgp_key: PgpKey, signer_pgp_key: PgpKey, make: Make, why: str
) -> None:
    message = pgp_key.encrypt(DATA)
    inbox.put("a.csv.gpg", message)
    inbox.put("a.csv.gpg.sig", make(signer_pgp_key, message))
    done, steps = verify(signed)
    assert "signature" in states(steps, "failed")
    assert done.code == EXIT_CODES[Category.INTEGRITY]
    assert f"{inbox.path}/a.csv.gpg.sig" in steps["signature"]["message"]
    assert why in steps["signature"]["message"]


def test_by_a_stranger(signed: Laptop, inbox: Inbox, pgp_key: PgpKey, other_pgp_key: PgpKey) -> None:
    message = pgp_key.encrypt(DATA)
    inbox.put("a.csv.gpg", message)
    inbox.put("a.csv.gpg.sig", other_pgp_key.sign(message))
    why = fails(signed, "signature", Category.INTEGRITY, skipped=())
    assert "not among openpgp/signerKeys" in why
    assert "decrypt.openpgp.signerKeysSecretRef names the key that the provider signs with" in why


def test_a_signature_is_not_taken_for_a_message(laptop: Laptop, inbox: Inbox, pgp_key: PgpKey) -> None:
    """An armored one ends as armored messages do, and is the smallest of all."""
    message = pgp_key.encrypt(DATA)
    inbox.put("a.csv.gpg", message)
    inbox.put("a.csv.gpg.asc", pgp_key.sign(message, "--armor", "--detach-sign"))
    done, steps = verify(laptop)
    assert (done.code, states(steps, "failed")) == (0, set()), steps
    assert f"2 files in {inbox.path}, 1 of them match" in steps["listing"]["message"]
