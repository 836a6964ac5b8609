"""Messages that are whole and still must not be opened, or cannot be."""

from __future__ import annotations

import pytest

from octo_core.domain.failure import Category
from tests.integration.worker.adversarial.verdict import assert_only, assert_sound
from tests.integration.worker.conftest import WorkerPod
from tests.support.pgp import PgpKey, encrypt_symmetric, gpg
from tests.support.samples import csv, noise
from tests.support.sftp import Inbox

REFUSED = {Category.INTEGRITY, Category.DECRYPT}


def test_messages_that_are_not_one_protected_message_to_our_key(
    pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, other_pgp_key: PgpKey
) -> None:
    plain = csv(1, 200)
    message = pgp_key.encrypt(plain, "-z", "0")
    armored = pgp_key.encrypt(plain, "-z", "0", "--armor")
    literal = gpg(pgp_key.home, plain, "-z", "0", "--store")
    legacy = ("--rfc2440", "--disable-mdc", "--cipher-algo", "3DES")
    inbox.put("good.csv.gpg", message)
    inbox.put("good-too.csv.asc", armored)
    bad = {
        "stranger.csv.gpg": (other_pgp_key.encrypt(plain), {Category.DECRYPT}),
        "other-passphrase.csv.gpg": (encrypt_symmetric(pgp_key.home, plain, "not the run's"), {Category.DECRYPT}),
        "legacy.csv.gpg": (pgp_key.encrypt(plain, *legacy), REFUSED),
        "legacy-armored.csv.asc": (pgp_key.encrypt(plain, *legacy, "--armor"), REFUSED),
        "plaintext.csv.gpg": (plain, REFUSED),
        "noise.csv.gpg": (noise(1, 5000), REFUSED),
        "zeros.csv.gpg": (bytes(5000), REFUSED),
        "empty.csv.gpg": (b"", REFUSED),
        "armor-of-nothing.csv.asc": (b"-----BEGIN PGP MESSAGE-----\n\n-----END PGP MESSAGE-----\n", REFUSED),
        # Whatever stands outside of the message is not protected by it: what comes out must not be taken for the file.
        "two-messages.csv.gpg": (message + message, REFUSED),
        "two-armored.csv.asc": (armored + armored, REFUSED),
        "garbage-after.csv.gpg": (message + noise(2, 3000), REFUSED),
        "text-after.csv.gpg": (message + plain, REFUSED),
        "garbage-before.csv.gpg": (noise(3, 3000) + message, REFUSED),
        "cut-and-whole.csv.gpg": (message[:-100] + message, REFUSED),
        "stored-packet.csv.gpg": (literal, REFUSED),
        "signed-only.csv.gpg": (
            gpg(pgp_key.home, plain, "--sign", "-u", pgp_key.user, "--passphrase", pgp_key.passphrase),
            REFUSED,
        ),
        "a-key.csv.asc": (gpg(pgp_key.home, b"", "--armor", "--export", pgp_key.user), REFUSED),
        "cleartext-signed.csv.asc": (
            gpg(pgp_key.home, plain, "--clearsign", "-u", pgp_key.user, "--passphrase", pgp_key.passphrase),
            REFUSED,
        ),
        "before-our-key.csv.gpg": (literal + message, REFUSED),
        "after-our-key.csv.gpg": (message + literal, REFUSED),
    }
    for name, (data, _) in bad.items():
        inbox.put(name, data)

    ended = pod.run()

    good = {"csv/good.csv": plain, "csv/good-too.csv": plain}
    assert_only(pod, ended, good, {name: why for name, (_, why) in bad.items()})


@pytest.mark.parametrize("case", ["wrong passphrase", "no passphrase", "another key", "no key", "not a key", "cut key"])
def test_without_the_right_key_nothing_is_stored_of_a_message(
    pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, other_pgp_key: PgpKey, case: str
) -> None:
    inbox.put("a.csv.gpg", pgp_key.encrypt(b"1,2\n"))
    inbox.put("plain.csv", b"3,4\n")
    changes: dict[str, dict[str, bytes | str | None]] = {
        "wrong passphrase": {"passphrase": "not-it"},
        "no passphrase": {"passphrase": None},
        "another key": {"privateKey": other_pgp_key.private, "passphrase": other_pgp_key.passphrase},
        "no key": {"privateKey": None},
        "not a key": {"privateKey": "no key at all\n"},
        "cut key": {"privateKey": pgp_key.private[:700]},
    }
    for name, value in changes[case].items():
        pod.secret(f"openpgp/{name}", value)

    ended = pod.run()

    # A run whose key cannot even be read may end before it has stored what needs no key.
    assert_sound(pod, ended)
    assert ended.outcome.category is Category.DECRYPT, ended.log
    assert {"csv/plain.csv": b"3,4\n"} | pod.data() == {"csv/plain.csv": b"3,4\n"}

    pod.secret("openpgp/privateKey", pgp_key.private)
    pod.secret("openpgp/passphrase", pgp_key.passphrase)
    assert pod.run(attempt=2).code == 0
    assert pod.data() == {"csv/a.csv": b"1,2\n", "csv/plain.csv": b"3,4\n"}
