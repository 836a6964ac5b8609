"""Who logs in, and with what: the credentials Secret, and the answers that it gives to a server."""

from __future__ import annotations

from dataclasses import dataclass, field

import asyncssh

from octo_core.domain.failure import Category
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed

_OF = "of the credentials Secret"


@dataclass(frozen=True, slots=True)
class Login:
    """A user with a password, a key, or both."""

    username: str
    password: str | None = field(default=None, repr=False)
    key: asyncssh.SSHKey | None = field(default=None, repr=False)
    certificate: asyncssh.SSHCertificate | None = field(default=None, repr=False)

    def keys(self) -> list[asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]]:
        """What asyncssh is to offer: with the certificate first, then the bare key."""
        if self.key is None:
            return []
        return [(self.key, self.certificate), self.key] if self.certificate else [self.key]


def login_of(username: str, secrets: Secrets) -> Login:
    """The login that the Secret holds. What is missing is Config, what cannot be read is Auth."""
    password, private_key = secrets.line("sftp", "password"), secrets.read("sftp", "privateKey")
    passphrase, certificate = secrets.line("sftp", "passphrase"), secrets.read("sftp", "certificate")
    if password is None and private_key is None:
        raise Failed(Category.CONFIG, "the credentials Secret has neither password nor privateKey")
    if password == "":
        raise Failed(Category.CONFIG, f"password {_OF} is empty")
    if private_key is None:
        for name, value in (("passphrase", passphrase), ("certificate", certificate)):
            if value is not None:
                raise Failed(Category.CONFIG, f"{name} {_OF} is of no use without privateKey")
        return Login(username, password)
    key = _private_key(private_key, passphrase)
    return Login(username, password, key, _certificate(certificate, key) if certificate is not None else None)


def _private_key(text: bytes, passphrase: str | None) -> asyncssh.SSHKey:
    if not text.strip():
        raise Failed(Category.CONFIG, f"privateKey {_OF} is empty")
    if text.startswith(b"PuTTY-User-Key-File"):
        raise Failed(Category.AUTH, f"privateKey {_OF} is a PuTTY key: export it in OpenSSH form")
    # An editor may have taken the last line end, which asyncssh wants, or written those of Windows.
    text = text.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
    try:
        return asyncssh.import_private_key(text, passphrase or None)
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        needs_passphrase = passphrase is None and "passphrase" in str(error).lower()
    # Outside of the handler: the error's text may quote the key.
    if needs_passphrase:
        raise Failed(Category.CONFIG, f"privateKey {_OF} is encrypted, and the Secret has no passphrase")
    if passphrase is not None:
        raise Failed(Category.AUTH, f"privateKey {_OF} cannot be read with its passphrase")
    raise Failed(Category.AUTH, f"privateKey {_OF} is not a private key in OpenSSH or PEM form")


def _certificate(text: bytes, key: asyncssh.SSHKey) -> asyncssh.SSHCertificate:
    try:
        certificate = asyncssh.import_certificate(text)
    except asyncssh.KeyImportError:
        raise Failed(Category.AUTH, f"certificate {_OF} is not an OpenSSH certificate") from None
    if not certificate.is_x509 and certificate.key == key.convert_to_public():
        return certificate
    raise Failed(Category.AUTH, f"certificate {_OF} is not for its privateKey")
