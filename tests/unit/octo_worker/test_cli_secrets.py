"""A user's folder of secrets, as the worker sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.provider import OctoProviderSpec
from octo_worker.cli.secrets import expected, mounted
from octo_worker.failure import Failed

SPEC: dict[str, Any] = {
    "source": {
        "sftp": {
            "host": "sftp.example.com",
            "username": "octo",
            "credentialsSecretRef": {"name": "bank-sftp"},
            "hostKeys": ["sftp.example.com ssh-ed25519 AAAA"],
        }
    },
    "decrypt": {
        "openpgp": {
            "keySecretRef": {"name": "bank-pgp", "key": "new"},
            "passphraseSecretRef": {"name": "bank-pgp", "key": "new-passphrase"},
            "additionalKeys": [{"keySecretRef": {"name": "bank-pgp", "key": "old"}}],
            "signerKeysSecretRef": {"name": "bank-public", "key": "keys.asc"},
        }
    },
    "destination": {"s3": {"bucket": "landing", "credentialsSecretRef": {"name": "landing"}}},
}
FILES = {
    "bank-sftp/password": "planted-1",
    "bank-pgp/new": "planted-2",
    "bank-pgp/new-passphrase": "planted-3",
    "bank-pgp/old": "planted-4",
    "bank-public/keys.asc": "planted-5",
    "landing/accessKeyId": "planted-6",
    "landing/secretAccessKey": "planted-7",
    "landing/unused": "planted-8",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, value in FILES.items():
        file = tmp_path / "secrets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value)
        file.chmod(0o600)
    return tmp_path / "secrets"


def spec(**changes: Any) -> OctoProviderSpec:
    return OctoProviderSpec.model_validate(SPEC | changes)


def test_each_key_is_where_the_worker_reads_it_and_gone_afterwards(folder: Path) -> None:
    with mounted(expected(spec()), folder) as secrets:
        secrets.check()
        assert secrets.warnings == ()
        assert secrets.folder.stat().st_mode & 0o777 == 0o700
        found = {
            str(file.relative_to(secrets.folder)): file.read_text()
            for file in secrets.folder.rglob("*")
            if file.is_file()
        }
        links = [file for file in secrets.folder.rglob("*") if file.is_file()]
        assert all(file.is_symlink() for file in links)
    assert found == {
        "sftp/password": "planted-1",
        "openpgp/privateKey": "planted-2",
        "openpgp/passphrase": "planted-3",
        "openpgp/additional/0/privateKey": "planted-4",
        "openpgp/signerKeys": "planted-5",
        "s3/accessKeyId": "planted-6",
        "s3/secretAccessKey": "planted-7",
    }
    assert not secrets.folder.exists()
    assert (folder / "bank-sftp/password").read_text() == "planted-1"


@pytest.mark.parametrize(
    ("gone", "group", "message"),
    [
        ("bank-pgp/old", "openpgp", "spec.decrypt.openpgp.additionalKeys[0].keySecretRef names the Secret bank-pgp"),
        ("landing/secretAccessKey", "s3", "landing/secretAccessKey; put the value into it"),
        ("bank-sftp/password", "sftp", "bank-sftp has neither `password` nor `privateKey`"),
    ],
)
def test_a_missing_file_is_told_with_field_and_place(folder: Path, gone: str, group: str, message: str) -> None:
    (folder / gone).unlink()
    with mounted(expected(spec()), folder) as secrets:
        assert list(secrets.problems) == [group]
        assert message in secrets.problems[group][0]
        with pytest.raises(Failed, match="Secret") as caught:
            secrets.check()
    assert caught.value.category is Category.CONFIG


def test_a_missing_folder_is_told_once_for_what_needs_it(folder: Path) -> None:
    with mounted(expected(spec()), folder / "elsewhere") as secrets:
        assert {group: len(texts) for group, texts in secrets.problems.items()} == {"sftp": 1, "openpgp": 2, "s3": 1}
        assert "or say with --secrets where it is" in secrets.problems["sftp"][0]


@pytest.mark.parametrize("name", ["..", "../../etc", "a/b"])
def test_a_name_that_leads_elsewhere_is_refused(folder: Path, name: str) -> None:
    changes = {"destination": {"s3": {"bucket": "landing", "credentialsSecretRef": {"name": name}}}}
    with mounted(expected(spec(**changes)), folder) as secrets:
        assert "is no name of a Secret" in secrets.problems["s3"][0]
        assert not (secrets.folder / "s3").exists()


def test_an_empty_file_and_a_folder_are_no_secrets(folder: Path) -> None:
    (folder / "landing/accessKeyId").write_text("")
    (folder / "landing/secretAccessKey").unlink()
    (folder / "landing/secretAccessKey").mkdir()
    with mounted(expected(spec()), folder) as secrets:
        empty, no_file = secrets.problems["s3"]
    assert "is empty" in empty
    assert "is not a file" in no_file


def test_a_file_for_all_to_read_is_worth_a_warning(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "landing").chmod(0o755)
    (folder / "landing/secretAccessKey").chmod(0o644)
    with mounted(expected(spec()), folder) as secrets:
        secrets.check()
        assert secrets.warnings == (
            f"everybody on this machine can read secrets; run: chmod go= {folder}/landing/secretAccessKey",
        )
    (folder / "landing").chmod(0o700)
    with mounted(expected(spec()), folder) as secrets:
        assert secrets.warnings == ()


def test_what_is_not_decrypted_needs_no_keys() -> None:
    for wanted in (
        expected(spec(), openpgp=False),
        expected(spec(decrypt={"openpgp": {**SPEC["decrypt"]["openpgp"], "mode": "Never"}})),
        expected(spec(decrypt=None)),
    ):
        assert {one.group for one in wanted} == {"sftp", "s3"}


def test_without_a_secret_for_the_bucket_the_machines_identity_is_used() -> None:
    assert {one.group for one in expected(spec(destination={"s3": {"bucket": "landing"}}))} == {"sftp", "openpgp"}
