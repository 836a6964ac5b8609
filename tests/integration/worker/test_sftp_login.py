"""Logins against a real OpenSSH server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from tests.support.ports import free_port
from tests.support.sftp import PASSWORD, USER, SftpServer, authorized, make_ssh_key, public_key, serving
from tests.support.sftp_source import sftp_files

PASSPHRASE = "planted-key-passphrase"


async def connects(server: SftpServer, folder: Path, secrets: Mapping[str, bytes | str], **settings: Any) -> None:
    async with sftp_files(server, folder, secrets=secrets, **settings).session():
        pass


async def refusal(server: SftpServer, folder: Path, secrets: Mapping[str, bytes | str], **settings: Any) -> Failed:
    with pytest.raises(Failed) as caught:
        await connects(server, folder, secrets, **settings)
    for planted in (PASSWORD, PASSPHRASE, "PRIVATE KEY"):
        assert planted not in caught.value.detail
    return caught.value


async def test_password(sftp_server: SftpServer, tmp_path: Path) -> None:
    await connects(sftp_server, tmp_path, {"password": f"{PASSWORD}\n"})


async def test_wrong_password_is_named(sftp_server: SftpServer, tmp_path: Path) -> None:
    error = await refusal(sftp_server, tmp_path, {"password": "wrong"})
    assert error.category is Category.AUTH
    assert error.detail == f"127.0.0.1:{sftp_server.port} refused the login of {USER} with password"


async def test_wrong_key_is_named(sftp_server: SftpServer, tmp_path: Path) -> None:
    key = make_ssh_key(tmp_path / "other").read_bytes()
    error = await refusal(sftp_server, tmp_path, {"privateKey": key})
    assert error.category is Category.AUTH
    assert error.detail.endswith(f"refused the login of {USER} with privateKey")


async def test_password_after_a_key_that_is_refused(sftp_server: SftpServer, tmp_path: Path) -> None:
    key = make_ssh_key(tmp_path / "other").read_bytes()
    await connects(sftp_server, tmp_path, {"privateKey": key, "password": PASSWORD})


FORMS: dict[str, tuple[str, ...]] = {"OpenSSH": (), "PEM": ("-m", "PEM"), "PKCS8": ("-m", "PKCS8")}


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["bare", "encrypted"])
@pytest.mark.parametrize(
    ("kind", "form"),
    [("ed25519", "OpenSSH"), *((kind, form) for kind in ("rsa", "ecdsa") for form in FORMS)],
)
async def test_private_keys(sftp_server: SftpServer, tmp_path: Path, kind: str, form: str, passphrase: str) -> None:
    pair = make_ssh_key(tmp_path / "key", *FORMS[form], kind=kind, passphrase=passphrase)
    with authorized(sftp_server, public_key(pair)):
        secrets: dict[str, bytes | str] = {"privateKey": pair.read_bytes()}
        await connects(sftp_server, tmp_path, {**secrets, "passphrase": f"{passphrase}\n"} if passphrase else secrets)


async def test_a_key_as_a_web_form_leaves_it(sftp_server: SftpServer, tmp_path: Path) -> None:
    text = sftp_server.client_key.replace(b"\n", b"\r\n").rstrip()
    await connects(sftp_server, tmp_path, {"privateKey": text})


@pytest.fixture(scope="module")
def certified() -> Iterator[SftpServer]:
    """Takes certificates of an authority, and no bare key."""
    with serving(options="TrustedUserCAKeys {folder}/authority.pub\nAuthorizedKeysFile none") as server:
        make_ssh_key(server.folder / "authority")
        yield server


@pytest.fixture(scope="module")
def asking() -> Iterator[SftpServer]:
    """Takes passwords by keyboard-interactive, and no other way."""
    with serving(options="UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no") as server:
        yield server


class TestCertificates:
    def certificate(self, server: SftpServer, key: Path, *options: str) -> bytes:
        command = ["ssh-keygen", "-q", "-s", str(server.folder / "authority"), "-I", "octo", "-n", USER, *options]
        subprocess.run([*command, f"{key}.pub"], check=True)
        return Path(f"{key}-cert.pub").read_bytes()

    @pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
    async def test_accepted(self, certified: SftpServer, tmp_path: Path, kind: str) -> None:
        key = make_ssh_key(tmp_path / "key", kind=kind)
        certificate = self.certificate(certified, key)
        await connects(certified, tmp_path, {"privateKey": key.read_bytes(), "certificate": certificate})

    async def test_bare_key_is_refused(self, certified: SftpServer, tmp_path: Path) -> None:
        error = await refusal(certified, tmp_path, {"privateKey": make_ssh_key(tmp_path / "key").read_bytes()})
        assert error.category is Category.AUTH

    async def test_expired(self, certified: SftpServer, tmp_path: Path) -> None:
        key = make_ssh_key(tmp_path / "key")
        certificate = self.certificate(certified, key, "-V", "20200101:20200102")
        error = await refusal(certified, tmp_path, {"privateKey": key.read_bytes(), "certificate": certificate})
        assert error.category is Category.AUTH


class TestKeyboardInteractive:
    async def test_the_password_answers_the_prompt(self, asking: SftpServer, tmp_path: Path) -> None:
        await connects(asking, tmp_path, {"password": PASSWORD})

    async def test_wrong_password(self, asking: SftpServer, tmp_path: Path) -> None:
        error = await refusal(asking, tmp_path, {"password": "wrong"})
        assert error.category is Category.AUTH
        assert "with keyboard-interactive" in error.detail

    async def test_key_and_then_password(self, tmp_path: Path) -> None:
        options = "UsePAM yes\nKbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive"
        with serving(options=options) as server:
            await connects(server, tmp_path, {"privateKey": server.client_key, "password": PASSWORD})
            (tmp_path / "sftp" / "password").unlink()
            error = await refusal(server, tmp_path, {"privateKey": server.client_key})
        assert error.category is Category.AUTH


class _Asking(asyncssh.SSHServer):
    """Asks what OpenSSH with plain PAM does not."""

    def __init__(self, rounds: list[list[tuple[str, bool]]]) -> None:
        self._rounds = rounds
        self.answers: list[list[str]] = []

    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", self._rounds[0]

    def validate_kbdint_response(self, username: str, responses: Any) -> Any:
        self.answers.append(list(responses))
        if len(self.answers) < len(self._rounds):
            return "", "", "", self._rounds[len(self.answers)]
        return self.answers[-1] == [PASSWORD]


class TestPrompts:
    async def outcome(self, folder: Path, rounds: list[list[tuple[str, bool]]]) -> tuple[Failed | None, _Asking]:
        asking, key = _Asking(rounds), asyncssh.generate_private_key("ssh-ed25519")
        port = free_port()
        listener = await asyncssh.listen(
            "127.0.0.1", port, server_factory=lambda: asking, server_host_keys=[key], sftp_factory=True
        )
        server = SftpServer(port, folder, folder, key.export_public_key().decode().strip(), b"")
        try:
            await connects(server, folder, {"password": PASSWORD})
        except Failed as error:
            return error, asking
        finally:
            listener.close()
            await listener.wait_closed()
        return None, asking

    async def test_in_another_language(self, tmp_path: Path) -> None:
        error, asking = await self.outcome(tmp_path, [[("Kennwort: ", False)]])
        assert error is None
        assert asking.answers == [[PASSWORD]]

    async def test_a_second_factor_is_not_answered_with_the_password(self, tmp_path: Path) -> None:
        error, asking = await self.outcome(tmp_path, [[("Password: ", False)], [("Code: ", False)]])
        assert error is not None
        assert error.category is Category.AUTH
        assert error.detail.endswith("with keyboard-interactive; it asked 'Code:'")
        assert asking.answers == [[PASSWORD]]

    async def test_a_prompt_that_is_seen_is_not_answered_with_the_password(self, tmp_path: Path) -> None:
        error, asking = await self.outcome(tmp_path, [[("Account: ", True)]])
        assert error is not None
        assert error.category is Category.AUTH
        assert asking.answers == []


@pytest.mark.parametrize("options", ["ForceCommand /bin/false", "Subsystem sftp /no/such/program"])
async def test_no_sftp_for_the_user(tmp_path: Path, options: str) -> None:
    with serving(options=options) as server:
        error = await refusal(server, tmp_path, {"password": PASSWORD})
    assert error.category is Category.AUTH
    assert f"gives {USER} no SFTP session" in error.detail
