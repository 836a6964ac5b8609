"""Keys, passphrases, sizes, and what happens when something gives way."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import ConnectionLostError, Failed
from octo_worker.limits import ExpansionMeter
from octo_worker.stages.decrypt import KeyRing
from octo_worker.stages.openpgp.relay import rsa_key
from octo_worker.stages.openpgp.small import MAX_MESSAGE, MAX_PLAINTEXT, MAX_PROCESSES
from tests.integration.worker.openpgp.conftest import LARGE, PgpSecrets, descendants, opened, pieces
from tests.support.pgp import PgpKey, encrypt_symmetric, gpg, make_key

CSV = b"a,b\n1,2\n" * 500


@pytest.mark.parametrize("size", [0, 1, 5000, MAX_MESSAGE - 2000, MAX_MESSAGE, 3 * MAX_MESSAGE])
@pytest.mark.parametrize("options", [(), ("--armor",), ("--compress-algo", "none"), ("--compress-algo", "bzip2")])
def test_messages_of_all_sizes(ring: KeyRing, pgp_key: PgpKey, size: int, options: tuple[str, ...]) -> None:
    data = (LARGE * 2)[:size]
    assert opened(ring, pgp_key.encrypt(data, *options)) == data


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_pieces_of_all_sizes(ring: KeyRing, pgp_key: PgpKey, step: int) -> None:
    assert opened(ring, pgp_key.encrypt(CSV), step=step) == CSV
    if step > 1:
        assert opened(ring, pgp_key.encrypt(LARGE), step=step * 100) == LARGE


def test_many_at_once(ring: KeyRing, pgp_key: PgpKey) -> None:
    data = [os.urandom(3000 + 40_000 * number) for number in range(16)]
    messages = [pgp_key.encrypt(each) for each in data]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda message: opened(ring, message), messages * 4)) == data * 4
    residents = [name for name in descendants().values() if name == "gpg"]
    assert 1 <= len(residents) <= MAX_PROCESSES


@pytest.fixture(scope="module")
def keys() -> Iterator[dict[str, PgpKey]]:
    with ExitStack() as stack:
        make = [("old", "rsa2048"), ("newer", "ed25519"), ("newest", "nistp256"), ("open", "ed25519")]
        yield {
            name: stack.enter_context(
                make_key(f"{name}@example.com", "" if name == "open" else f"pass of % {name}", algorithm=algorithm)
            )
            for name, algorithm in make
        }


def test_rotated_keys_each_with_its_passphrase(pgp_secrets: PgpSecrets, keys: dict[str, PgpKey]) -> None:
    pgp_secrets.put_key(keys["old"])
    for number, name in enumerate(("newer", "newest", "open")):
        pgp_secrets.put_key(keys[name], f"additional/{number}/")
    with pgp_secrets.ring(additional=3) as ring:
        for key in keys.values():
            assert opened(ring, key.encrypt(CSV)) == CSV
            assert opened(ring, key.encrypt(LARGE)) == LARGE


def test_several_keys_in_one_file_and_a_passphrase_from_another(
    pgp_secrets: PgpSecrets, keys: dict[str, PgpKey]
) -> None:
    pgp_secrets.put("privateKey", b"".join(keys[name].private for name in ("old", "newer", "open")))
    pgp_secrets.put("passphrase", keys["old"].passphrase)
    pgp_secrets.put_key(keys["newest"], "additional/0/")
    with pgp_secrets.ring(additional=1) as ring:
        for name in ("old", "newest", "open"):
            assert opened(ring, keys[name].encrypt(CSV)) == CSV
        # Its passphrase is nowhere; the others in its file are of use all the same.
        with pytest.raises(Failed) as caught:
            opened(ring, keys["newer"].encrypt(CSV))
        assert caught.value.category is Category.DECRYPT


def test_each_of_several_encryption_subkeys(pgp_secrets: PgpSecrets) -> None:
    with make_key("subkeys@example.com", "pw", algorithm="ed25519") as key:
        fresh = ("--passphrase", "pw", "--quick-add-key", key.fingerprint)
        gpg(key.home, b"", *fresh, "rsa2048", "encrypt", "never")
        gpg(key.home, b"", *fresh, "nistp384", "encrypt", "never")
        listing = gpg(key.home, b"", "--with-colons", "--list-keys", key.user).decode().splitlines()
        subkeys = [line.split(":")[4] for line in listing if line.startswith("sub:")]
        assert len(subkeys) == 3
        pgp_secrets.put("privateKey", gpg(key.home, b"", "--passphrase", "pw", "--export-secret-keys"))
        pgp_secrets.put("passphrase", "pw")
        with pgp_secrets.ring() as ring:
            for subkey in subkeys:
                message = gpg(key.home, CSV, "--trust-model", "always", "-r", f"{subkey}!", "--encrypt")
                assert opened(ring, message) == CSV


def test_a_key_that_only_signs_stays_locked(pgp_secrets: PgpSecrets, keys: dict[str, PgpKey]) -> None:
    pgp_secrets.put_key(keys["newer"])
    with pgp_secrets.ring() as ring:
        assert opened(ring, keys["newer"].encrypt(CSV)) == CSV
        stored = sorted(path.read_bytes() for path in pgp_secrets.memory.rglob("private-keys-v1.d/*.key"))
        assert [b"protected-private-key" in key for key in stored].count(True) == 1
        assert len(stored) == 2


def test_an_encryption_subkey_of_the_past_still_opens(pgp_secrets: PgpSecrets) -> None:
    with make_key("past@example.com", "pw", algorithm="ed25519", time="20200101T000000") as key:
        then = ("--faked-system-time", "20200102T000000")
        gpg(key.home, b"", *then, "--passphrase", "pw", "--quick-add-key", key.fingerprint, "rsa2048", "encrypt", "2d")
        listing = gpg(key.home, b"", "--with-colons", "--list-keys", key.user).decode().splitlines()
        expired = next(line.split(":")[4] for line in listing if line.startswith("sub:e:"))
        recipient = ("--trust-model", "always", "-r", f"{expired}!")
        message = gpg(key.home, CSV, "--faked-system-time", "20200103T000000", *recipient, "--encrypt")
        pgp_secrets.put("privateKey", gpg(key.home, b"", "--passphrase", "pw", "--export-secret-keys"))
        pgp_secrets.put("passphrase", "pw")
        with pgp_secrets.ring() as ring:
            assert opened(ring, message) == CSV


def test_a_message_to_many_of_which_one_is_here(ring: KeyRing, pgp_key: PgpKey, other_pgp_key: PgpKey) -> None:
    recipient = pgp_key.home / "recipient"
    recipient.write_bytes(other_pgp_key.public)
    assert opened(ring, pgp_key.encrypt(CSV, "--recipient-file", str(recipient))) == CSV
    assert opened(ring, pgp_key.encrypt(CSV, "--hidden-recipient", pgp_key.user, "--throw-keyids")) == CSV


@pytest.mark.parametrize("data", [CSV, LARGE], ids=["small", "large"])
def test_symmetric_messages_to_any_of_the_passphrases(
    pgp_secrets: PgpSecrets, pgp_key: PgpKey, other_pgp_key: PgpKey, data: bytes
) -> None:
    pgp_secrets.put_key(pgp_key)
    pgp_secrets.put_key(other_pgp_key, "additional/0/")
    with pgp_secrets.ring(additional=1) as ring:
        for passphrase in (pgp_key.passphrase, other_pgp_key.passphrase):
            assert opened(ring, encrypt_symmetric(pgp_key.home, data, passphrase)) == data
        with pytest.raises(Failed, match="passphrase is wrong") as caught:
            opened(ring, encrypt_symmetric(pgp_key.home, data, "a third"))
        assert caught.value.category is Category.DECRYPT


def test_a_passphrase_alone(pgp_secrets: PgpSecrets, pgp_key: PgpKey) -> None:
    pgp_secrets.put("passphrase", "söme passphrase \n")
    with pgp_secrets.ring() as ring:
        assert opened(ring, encrypt_symmetric(pgp_key.home, CSV, "söme passphrase ")) == CSV
        with pytest.raises(Failed, match="key that is not here") as caught:
            opened(ring, pgp_key.encrypt(CSV))
        assert caught.value.category is Category.DECRYPT


def test_no_passphrase_for_a_symmetric_message(pgp_secrets: PgpSecrets, keys: dict[str, PgpKey]) -> None:
    pgp_secrets.put_key(keys["open"])
    with pgp_secrets.ring() as ring, pytest.raises(Failed, match="needs a passphrase, and none is given"):
        opened(ring, encrypt_symmetric(keys["open"].home, CSV, "pw"))


@pytest.mark.parametrize(
    ("secrets", "category", "said"),
    [
        ({}, Category.CONFIG, "neither a private key nor a passphrase"),
        ({"passphrase": "x" * 256}, Category.CONFIG, "more than the 255 bytes"),
        ({"privateKey": "no key", "passphrase": "x"}, Category.DECRYPT, "openpgp/privateKey cannot be imported"),
    ],
)
def test_secrets_that_make_no_ring(
    pgp_secrets: PgpSecrets, secrets: dict[str, str], category: Category, said: str
) -> None:
    for name, value in secrets.items():
        pgp_secrets.put(name, value)
    with pytest.raises(Failed, match=said) as caught, pgp_secrets.ring():
        pass
    assert caught.value.category is category


@pytest.mark.parametrize(
    ("passphrase", "said"), [("wrong", "its passphrase is wrong"), (None, "none is given")], ids=["wrong", "missing"]
)
def test_a_key_that_does_not_open(
    pgp_secrets: PgpSecrets, keys: dict[str, PgpKey], passphrase: str | None, said: str
) -> None:
    pgp_secrets.put("privateKey", keys["newer"].private)
    if passphrase is not None:
        pgp_secrets.put("passphrase", passphrase)
    with pytest.raises(Failed, match=f"openpgp/privateKey cannot be opened: .*{said}") as caught, pgp_secrets.ring():
        pass
    assert caught.value.category is Category.DECRYPT
    assert "wrong" not in caught.value.detail.replace("is wrong", "")


def test_a_public_key_in_place_of_the_private(pgp_secrets: PgpSecrets, pgp_key: PgpKey) -> None:
    pgp_secrets.put("privateKey", pgp_key.public)
    with pytest.raises(Failed, match="cannot be imported as an OpenPGP private key"), pgp_secrets.ring():
        pass


def test_too_long_a_path_for_the_agents_socket(pgp_secrets: PgpSecrets, pgp_key: PgpKey) -> None:
    pgp_secrets.put_key(pgp_key)
    deep = PgpSecrets(pgp_secrets.folder / ("d" * 80))
    (deep.folder / "m").mkdir(parents=True)
    (deep.folder / "openpgp").symlink_to(pgp_secrets.folder / "openpgp")
    with pytest.raises(Failed, match="too long for gpg") as caught, deep.ring():
        pass
    assert caught.value.category is Category.CONFIG
    assert list(deep.memory.iterdir()) == []


@pytest.mark.parametrize("kind", ["small", "large"])
def test_what_the_download_says_wins(ring: KeyRing, pgp_key: PgpKey, kind: str) -> None:
    message = pgp_key.encrypt(CSV if kind == "small" else LARGE)

    def broken() -> Iterator[bytes]:
        yield message[:-100]
        raise ConnectionLostError("the connection broke")

    with pytest.raises(ConnectionLostError):
        for _ in ring.decrypt(broken(), ExpansionMeter(len(message), Unpack())):
            pass
    assert opened(ring, message) == (CSV if kind == "small" else LARGE)


def test_the_download_is_read_to_its_end_when_gpg_gives_up(ring: KeyRing) -> None:
    read = 0

    def download() -> Iterator[bytes]:
        nonlocal read
        for chunk in pieces(b"\x85" + bytes(40 * MAX_MESSAGE)):
            read += len(chunk)
            yield chunk
        raise Failed(Category.INTEGRITY, "the file changed while it was read")

    with pytest.raises(Failed, match="changed while"):
        list(ring.decrypt(download(), ExpansionMeter(1, Unpack())))
    assert read == 40 * MAX_MESSAGE + 1


def test_a_small_message_that_inflates(ring: KeyRing, pgp_key: PgpKey) -> None:
    message = pgp_key.encrypt(bytes(4 * MAX_PLAINTEXT))
    assert len(message) < MAX_MESSAGE
    assert opened(ring, message) == bytes(4 * MAX_PLAINTEXT)
    with pytest.raises(Failed, match="maxExpandedBytes") as caught:
        opened(ring, message, limits=Unpack(max_expanded_bytes=3 * MAX_PLAINTEXT))
    assert caught.value.category is Category.UNPACK_LIMIT
    with pytest.raises(Failed, match="maxExpandedBytes"):
        opened(ring, pgp_key.encrypt(CSV), limits=Unpack(max_expanded_bytes=len(CSV) - 1))
    assert opened(ring, pgp_key.encrypt(CSV)) == CSV


def test_a_bomb(ring: KeyRing, pgp_key: PgpKey) -> None:
    message = pgp_key.encrypt(bytes(256 << 20))
    with pytest.raises(Failed, match="maxRatio") as caught:
        opened(ring, message)
    assert caught.value.category is Category.UNPACK_LIMIT


def test_what_gpg_does_not_inflate_is_left_alone(ring: KeyRing, pgp_key: PgpKey) -> None:
    data = gzip.compress(CSV)
    assert opened(ring, pgp_key.encrypt(data)) == data


def test_a_gpg_that_dies_is_replaced(ring: KeyRing, pgp_key: PgpKey) -> None:
    message = pgp_key.encrypt(CSV)
    for _ in range(3):
        assert opened(ring, message) == CSV
        residents = [pid for pid, name in descendants().items() if name == "gpg"]
        assert len(residents) == 1
        os.kill(residents[0], signal.SIGKILL)
        os.waitid(os.P_PID, residents[0], os.WEXITED | os.WNOWAIT)


def test_a_gpg_that_dies_over_a_large_message(ring: KeyRing, pgp_key: PgpKey) -> None:
    message = pgp_key.encrypt(LARGE * 8)
    chunks = pieces(message)
    stream = ring.decrypt(chunks, ExpansionMeter(len(message), Unpack()))
    next(stream)
    (pid,) = [pid for pid, name in descendants().items() if name == "gpg"]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Failed, match="killed by signal 9") as caught:
        list(stream)
    assert caught.value.category is Category.INFRA
    assert next(chunks, None) is None


def test_an_agent_that_dies_is_replaced(ring: KeyRing, pgp_key: PgpKey, pgp_secrets: PgpSecrets) -> None:
    (home,) = pgp_secrets.memory.iterdir()
    assert opened(ring, pgp_key.encrypt(CSV)) == CSV
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)
    assert opened(ring, pgp_key.encrypt(CSV)) == CSV
    assert opened(ring, pgp_key.encrypt(LARGE)) == LARGE


def test_closed_early(ring: KeyRing, pgp_key: PgpKey) -> None:
    message = pgp_key.encrypt(LARGE * 8)
    before = set(descendants())
    files = set(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    for _ in range(3):
        stream = ring.decrypt(pieces(message), ExpansionMeter(len(message), Unpack()))
        assert next(stream)
        assert set(descendants()) > before
        stream.close()
        assert set(descendants()) == before
        assert set(os.listdir("/proc/self/fd")) == files
        assert threading.active_count() == threads
    assert opened(ring, message) == LARGE * 8


def test_without_gpg(pgp_secrets: PgpSecrets, pgp_key: PgpKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pgp_secrets.put_key(pgp_key)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed, match="gpg installed") as caught, pgp_secrets.ring():
        pass
    assert caught.value.category is Category.CONFIG


def test_good_small_messages_need_no_gpg_of_their_own(
    pgp_secrets: PgpSecrets,
    pgp_key: PgpKey,
    signer_pgp_key: PgpKey,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    good = [
        pgp_key.encrypt(CSV),
        pgp_key.encrypt(CSV, "--armor"),
        pgp_key.encrypt(CSV, "--compress-algo", "bzip2", "--cipher-algo", "3DES"),
        encrypt_symmetric(pgp_key.home, CSV, pgp_key.passphrase),
        signer_pgp_key.seal(CSV, pgp_key),
        signer_pgp_key.seal(CSV, pgp_key, "--armor", "--textmode"),
    ]
    pgp_secrets.put_key(pgp_key)
    pgp_secrets.put("signerKeys", signer_pgp_key.public)
    with pgp_secrets.ring() as ring:
        assert opened(ring, good[0]) == CSV
        with monkeypatch.context() as patch:
            # From here on none can be started.
            patch.setenv("PATH", str(tmp_path))
            for message in good:
                assert opened(ring, message) == CSV
            with pytest.raises(Failed, match="gpg is not installed"):
                opened(ring, good[0] + b"more")
        with pytest.raises(Failed, match="goes on after the end"):
            opened(ring, good[0] + b"more")


def test_rsa_keys_are_opened_without_the_agent(ring: KeyRing, pgp_secrets: PgpSecrets) -> None:
    (home,) = pgp_secrets.memory.iterdir()
    stored = list((home / "private-keys-v1.d").iterdir())
    assert stored
    assert all(rsa_key(path.read_text()) is not None for path in stored)
