"""``octo-worker verify``: every step against real servers, each of them made to fail."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from octo_core.domain.failure import EXIT_CODES, RESOLUTIONS, Category
from octo_worker.stages.openpgp.recipients import recipients
from tests.integration.worker.laptop import PREFIX, Laptop, laptop
from tests.integration.worker.verifying import BUCKET, STEPS, fails, states, verify
from tests.support.pgp import PgpKey, encrypt_symmetric
from tests.support.ports import free_port
from tests.support.samples import flipped, noise
from tests.support.sftp import PASSWORD, Inbox, make_ssh_key, public_key

__all__ = ["laptop"]  # the fixture


@pytest.fixture
def files(inbox: Inbox, pgp_key: PgpKey) -> None:
    """Two encrypted files, the second being the smaller one, and others."""
    inbox.put("large.csv.gpg", pgp_key.encrypt(noise(1, 50_000)))
    inbox.put("small.csv.gpg", pgp_key.encrypt(noise(2, 20_000), "-z", "0"))
    inbox.put("plain.csv", b"1\n")
    inbox.put("notes.txt.gpg", b"x")


def encryption_key_id(key: PgpKey) -> str:
    listed = subprocess.run(
        ["gpg", "--homedir", str(key.home), "--batch", "--with-colons", "--list-keys", key.user],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    rows = [line.split(":") for line in listed.splitlines()]
    return next(row[4] for row in rows if row[0] in ("pub", "sub") and "e" in row[11])


def test_all_is_well(laptop: Laptop, inbox: Inbox, pgp_key: PgpKey, files: None) -> None:
    done, steps = verify(laptop)
    assert done.code == 0
    assert states(steps, "ok") == set(STEPS) - {"signature"}, steps
    assert "sftp: privateKey; openpgp: passphrase, privateKey; s3: accessKeyId" in steps["secrets"]["message"]
    assert f"127.0.0.1:{inbox.server.port} (127.0.0.1) answers: SSH-2.0-OpenSSH" in steps["connect"]["message"]
    assert f"4 files in {inbox.path}, 3 of them match" in steps["listing"]["message"]
    size = (inbox.path / "small.csv.gpg").stat().st_size
    assert steps["decrypt"]["message"] == (
        f"{inbox.path}/small.csv.gpg, encrypted to key {encryption_key_id(pgp_key)}: {size} bytes become 20000"
    )
    assert f"0 objects below s3://{laptop.bucket.name}/{PREFIX}" in steps["s3List"]["message"]

    text = laptop.run("verify").out
    assert len(re.findall(r"^ok ", text, re.MULTILINE)) == len(STEPS) - 1


def test_for_people_a_failed_step_says_how_to_mend_it(laptop: Laptop, files: None) -> None:
    laptop.provider["spec"]["source"]["sftp"]["port"] = free_port()
    done = laptop.run("verify")
    assert done.code == 20
    assert re.search(r"^FAILED   connect .*check source\.sftp\.host and port$", done.out, re.MULTILINE)
    assert re.search(r"^skipped  login +needs hostKey$", done.out, re.MULTILINE)
    assert RESOLUTIONS[Category.REMOTE_UNAVAILABLE] in done.out


def test_a_missing_secret_file_stops_only_what_needs_it(laptop: Laptop, files: None) -> None:
    laptop.secret("bank-sftp/privateKey", None)
    message = fails(laptop, "secrets", Category.CONFIG, skipped=("hostKey", "login", "listing", "decrypt"))
    assert "spec.source.sftp.credentialsSecretRef names the Secret bank-sftp" in message
    assert "neither `password` nor `privateKey`" in message


def test_a_missing_key_file(laptop: Laptop, files: None) -> None:
    laptop.secret("bank-openpgp/privateKey", None)
    message = fails(laptop, "secrets", Category.CONFIG, skipped=("openpgp", "decrypt"))
    assert f"there is no file {laptop.folder}/secrets/bank-openpgp/privateKey" in message


def test_a_private_key_that_is_none(laptop: Laptop, files: None) -> None:
    laptop.secret("bank-sftp/privateKey", "planted-nonsense")
    message = fails(laptop, "secrets", Category.AUTH, skipped=("hostKey", "login", "listing", "decrypt"))
    assert "privateKey" in message
    assert "planted" not in message


def test_no_such_host(laptop: Laptop, files: None) -> None:
    laptop.provider["spec"]["source"]["sftp"]["host"] = "no-such-host.invalid"
    skipped = ("hostKey", "login", "listing", "decrypt")
    assert "there is no address for no-such-host.invalid" in fails(
        laptop, "connect", Category.REMOTE_UNAVAILABLE, skipped=skipped
    )


@contextmanager
def greeting(words: bytes) -> Iterator[int]:
    """A server that says something and hangs up; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as client:
                client.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_a_server_that_speaks_something_else(laptop: Laptop, files: None) -> None:
    with greeting(b"220 ftp.example.com FTP server ready\r\n") as port:
        laptop.provider["spec"]["source"]["sftp"]["port"] = port
        message = fails(
            laptop, "connect", Category.REMOTE_UNAVAILABLE, skipped=("hostKey", "login", "listing", "decrypt")
        )
    assert "is not an SSH server" in message


def test_a_wrong_host_key_shows_the_offered_one(laptop: Laptop, inbox: Inbox, files: None, tmp_path: Path) -> None:
    other = public_key(make_ssh_key(tmp_path / "other"))
    laptop.provider["spec"]["source"]["sftp"]["hostKeys"] = [f"[127.0.0.1]:{inbox.server.port} {other}"]
    message = fails(laptop, "hostKey", Category.HOST_KEY, skipped=("login", "listing", "decrypt"))
    shown = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=inbox.server.host_key, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()[1]
    assert shown in message


def test_a_wrong_password(laptop: Laptop, files: None) -> None:
    laptop.secret("bank-sftp/privateKey", None)
    laptop.secret("bank-sftp/password", f"not-{PASSWORD[::-1]}")
    message = fails(laptop, "login", Category.AUTH, skipped=("listing", "decrypt"))
    assert "refused the login of octosftp" in message


def test_a_folder_that_is_not_there(laptop: Laptop, inbox: Inbox, files: None) -> None:
    laptop.provider["spec"]["source"]["sftp"]["paths"] = [str(inbox.path / "absent")]
    message = fails(laptop, "listing", Category.CONFIG, skipped=("decrypt",))
    assert f"{inbox.path}/absent" in message


def test_a_passphrase_that_does_not_open_the_key(laptop: Laptop, files: None) -> None:
    laptop.secret("bank-openpgp/passphrase", "not-this-one")
    message = fails(laptop, "openpgp", Category.DECRYPT, skipped=("decrypt",))
    assert "passphrase" in message
    assert "not-this-one" not in message


def test_a_key_that_nothing_is_encrypted_to(
    laptop: Laptop, inbox: Inbox, files: None, pgp_key: PgpKey, other_pgp_key: PgpKey
) -> None:
    laptop.secret("bank-openpgp/privateKey", other_pgp_key.private)
    laptop.secret("bank-openpgp/passphrase", other_pgp_key.passphrase)
    message = fails(laptop, "decrypt", Category.DECRYPT, skipped=())
    assert encryption_key_id(pgp_key) in message


def test_a_damaged_file(laptop: Laptop, inbox: Inbox, files: None) -> None:
    file = inbox.path / "small.csv.gpg"
    inbox.put(file.name, flipped(file.read_bytes(), 10_000))
    fails(laptop, "decrypt", Category.INTEGRITY, skipped=())


def test_nothing_to_decrypt(laptop: Laptop, inbox: Inbox) -> None:
    inbox.put("plain.csv", b"1\n")
    done, steps = verify(laptop)
    assert (done.code, states(steps, "skipped")) == (0, {"signature", "decrypt"})
    assert "no encrypted file" in steps["decrypt"]["message"]
    del laptop.provider["spec"]["decrypt"]
    done, steps = verify(laptop)
    assert (done.code, states(steps, "skipped")) == (0, {"openpgp", "signature", "decrypt"})


def test_a_wrong_s3_secret(laptop: Laptop, files: None) -> None:
    laptop.secret("landing-s3/secretAccessKey", "another")
    fails(laptop, "s3List", Category.AUTH, skipped=BUCKET[1:])


def test_a_missing_bucket(laptop: Laptop, files: None) -> None:
    laptop.provider["spec"]["destination"]["s3"]["bucket"] = "no-such-bucket"
    assert "no-such-bucket" in fails(laptop, "s3List", Category.CONFIG, skipped=BUCKET[1:])


def test_two_failures_are_both_told_and_the_first_gives_the_code(laptop: Laptop, files: None) -> None:
    laptop.secret("bank-sftp/privateKey", None)
    laptop.secret("bank-sftp/password", "wrong")
    laptop.provider["spec"]["destination"]["s3"]["bucket"] = "no-such-bucket"
    done, steps = verify(laptop)
    assert states(steps, "failed") == {"login", "s3List"}
    assert done.code == EXIT_CODES[Category.AUTH]


@pytest.mark.parametrize("step", ["openpgp", "s3Put"])
def test_told_to_stop_it_leaves_no_object(laptop: Laptop, inbox: Inbox, pgp_key: PgpKey, step: str) -> None:
    inbox.put("large.csv.gpg", pgp_key.encrypt(noise(1, 1 << 20) * 60, "-z", "0"))
    process = laptop.start("verify")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"ok       {step}"):
            break
    process.send_signal(signal.SIGINT)
    done = laptop.end(process)
    # Once the object is written there is little left to do, and it may be done before the signal arrives.
    assert done.code == 50 or (done.code == 0 and step == "s3Put"), done
    assert laptop.bucket.objects() == {}


def test_whom_a_message_is_encrypted_to(pgp_key: PgpKey, other_pgp_key: PgpKey) -> None:
    mine = encryption_key_id(pgp_key)
    assert recipients(pgp_key.encrypt(b"x")) == [f"key {mine}"]
    assert recipients(pgp_key.encrypt(b"x", "--armor")) == [f"key {mine}"]
    assert recipients(pgp_key.encrypt(b"x", "--armor").replace(b"\n", b"\r\n")) == [f"key {mine}"]
    assert recipients(pgp_key.encrypt(b"x", "--throw-keyids")) == ["a key that is not named"]
    assert recipients(encrypt_symmetric(pgp_key.home, b"x", "secret")) == ["a passphrase"]
    for cut in range(20):
        assert recipients(pgp_key.encrypt(b"x")[:cut]) == []
    assert recipients(b"hello, this is no message") == []
