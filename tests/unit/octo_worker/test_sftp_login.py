from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources.sftp.login import Login, login_of
from tests.support.sftp_source import secrets_of

KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")
BARE = KEY.export_private_key()
ENCRYPTED = KEY.export_private_key(passphrase="planted-passphrase", rounds=50)
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
ENCRYPTED_PEM = RSA.export_private_key("pkcs1-pem", passphrase="planted-passphrase", cipher_name="aes128-cbc")
ENCRYPTED_PKCS8 = RSA.export_private_key("pkcs8-pem", passphrase="planted-passphrase")
CERTIFICATE = KEY.generate_user_certificate(KEY, "octo").export_certificate()
OF_ANOTHER = KEY.generate_user_certificate(OTHER, "octo").export_certificate()


def login(folder: Path, secrets: dict[str, bytes]) -> Login:
    return login_of("octo", secrets_of(folder, secrets))


@pytest.mark.parametrize(
    ("secrets", "category", "message"),
    [
        ({}, Category.CONFIG, "the credentials Secret has neither password nor privateKey"),
        ({"password": b"\n"}, Category.CONFIG, "password of the credentials Secret is empty"),
        ({"privateKey": b"\n"}, Category.CONFIG, "privateKey of the credentials Secret is empty"),
        ({"password": b"p", "passphrase": b"q"}, Category.CONFIG, "passphrase .* is of no use without privateKey"),
        ({"password": b"p", "certificate": b"c"}, Category.CONFIG, "certificate .* is of no use without privateKey"),
        ({"password": b"\xff"}, Category.CONFIG, "sftp/password is not UTF-8"),
        ({"privateKey": ENCRYPTED}, Category.CONFIG, "is encrypted, and the Secret has no passphrase"),
        ({"privateKey": ENCRYPTED_PEM}, Category.CONFIG, "is encrypted, and the Secret has no passphrase"),
        ({"privateKey": ENCRYPTED_PKCS8}, Category.CONFIG, "is encrypted, and the Secret has no passphrase"),
        (
            {"privateKey": ENCRYPTED, "passphrase": b"no"},
            Category.AUTH,
            "privateKey .* cannot be read with its passphrase",
        ),
        (
            {"privateKey": ENCRYPTED_PEM, "passphrase": b"no"},
            Category.AUTH,
            "privateKey .* cannot be read with its passphrase",
        ),
        (
            {"privateKey": ENCRYPTED_PKCS8, "passphrase": b"no"},
            Category.AUTH,
            "privateKey .* cannot be read with its passphrase",
        ),
        ({"privateKey": b"nonsense"}, Category.AUTH, "is not a private key in OpenSSH or PEM form"),
        ({"privateKey": BARE[:120]}, Category.AUTH, "is not a private key in OpenSSH or PEM form"),
        ({"privateKey": KEY.export_public_key()}, Category.AUTH, "is not a private key in OpenSSH or PEM form"),
        ({"privateKey": b"PuTTY-User-Key-File-3: x"}, Category.AUTH, "is a PuTTY key"),
        ({"privateKey": BARE, "certificate": b"x"}, Category.AUTH, "certificate .* is not an OpenSSH certificate"),
        ({"privateKey": BARE, "certificate": OF_ANOTHER}, Category.AUTH, "certificate .* is not for its privateKey"),
    ],
)
def test_odd_secrets_are_named(tmp_path: Path, secrets: dict[str, bytes], category: Category, message: str) -> None:
    with pytest.raises(Failed, match=message) as caught:
        login(tmp_path, secrets)
    assert caught.value.category is category
    assert "planted" not in caught.value.detail
    assert "BEGIN" not in caught.value.detail


@pytest.mark.parametrize("key", [ENCRYPTED, ENCRYPTED_PEM, ENCRYPTED_PKCS8], ids=["OpenSSH", "PEM", "PKCS8"])
def test_passphrase(tmp_path: Path, key: bytes) -> None:
    assert login(tmp_path, {"privateKey": key, "passphrase": b"planted-passphrase\r\n"}).key is not None


def test_a_passphrase_that_the_key_does_not_need(tmp_path: Path) -> None:
    assert login(tmp_path, {"privateKey": BARE, "passphrase": b"planted-passphrase"}).key == KEY


def test_certificate(tmp_path: Path) -> None:
    offered = login(tmp_path, {"privateKey": BARE, "certificate": CERTIFICATE}).keys()
    assert len(offered) == 2


def test_password_and_key(tmp_path: Path) -> None:
    both = login(tmp_path, {"privateKey": BARE, "password": b"planted-password\n"})
    assert (both.password, both.key) == ("planted-password", KEY)
    assert "planted" not in repr(both)
