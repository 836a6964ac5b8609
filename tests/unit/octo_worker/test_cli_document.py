"""An OctoProvider in a file: the one that is meant, or what is wrong with it and where."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from octo_core.domain.failure import Category
from octo_worker.cli.document import read_provider
from octo_worker.failure import Failed

PROVIDER: dict[str, Any] = {
    "apiVersion": "octo.dev/v1alpha1",
    "kind": "OctoProvider",
    "metadata": {"name": "bank"},
    "spec": {
        "source": {
            "sftp": {
                "host": "sftp.example.com",
                "username": "octo",
                "credentialsSecretRef": {"name": "bank-sftp"},
                "hostKeys": ["sftp.example.com ssh-ed25519 AAAA"],
            }
        },
        "destination": {"s3": {"bucket": "landing", "prefix": "bank"}},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The provider with one field set, or without it if the value is None."""
    document = copy.deepcopy(PROVIDER)
    *above, last = path.split(".")
    node = document
    for part in above:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return document


def written(folder: Path, *documents: Any) -> Path:
    file = folder / "provider.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return file


def refused(file: Path, name: str | None = None) -> str:
    with pytest.raises(Failed) as caught:
        read_provider(file, name)
    assert caught.value.category is Category.CONFIG
    return caught.value.detail


def test_the_provider_is_found_among_other_documents(tmp_path: Path) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    found = read_provider(written(tmp_path, secret, None, PROVIDER), None)
    assert found.name == "bank"
    assert found.spec.source is not None
    assert found.spec.source.sftp.host == "sftp.example.com"


def test_of_several_one_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, PROVIDER, changed("metadata.name", "fund"))
    assert read_provider(file, "fund").name == "fund"
    assert "several OctoProviders (bank, fund); choose one with --name" in refused(file)
    assert "no OctoProvider is named card; there is bank, fund" in refused(file, "card")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.source.sftp.hostKeys", None, "spec.source.sftp.hostKeys: is missing; add it (known_hosts lines"),
        ("spec.source.sftp.hostkeys", [], "spec.source.sftp.hostkeys: is not a field here; did you mean hostKeys?"),
        ("spec.source.sftp.port", "22", "spec.source.sftp.port: Input should be a valid integer"),
        ("spec.source.sftp.paths", ["in", ""], "spec.source.sftp.paths[1]: String should have at least 1 character"),
        ("spec.destination.s3.prefix", "/x", "destination.s3.prefix must not begin or end with a slash"),
        ("spec.destination", None, "source and destination go together"),
        ("spec", None, "exactly one of source and container must be set"),
        ("spec.decrypt", {"openpgp": {"mode": "auto"}}, "spec.decrypt.openpgp.mode: Input should be 'Auto'"),
        ("metadata.name", None, "metadata.name: is missing"),
        ("metadata.name", "Bank_1", "metadata.name: must be"),
        ("apiVersion", "octo.dev/v2", "apiVersion: must be octo.dev/v1alpha1"),
        ("sepc", {}, "sepc: is not a field here; did you mean spec?"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_field(tmp_path: Path, path: str, value: Any, message: str) -> None:
    file = written(tmp_path, changed(path, value))
    told = refused(file)
    assert message in told
    assert all(line.startswith(f"{file}: ") for line in told.splitlines())


def test_all_problems_are_told_at_once_but_not_a_hundred(tmp_path: Path) -> None:
    both = changed("spec.source.sftp.host", None)
    both["spec"]["source"]["sftp"]["username"] = ""
    told = refused(written(tmp_path, both))
    assert "sftp.host:" in told
    assert "sftp.username:" in told
    many = changed("spec.source.sftp.paths", [""] * 30)
    assert refused(written(tmp_path, many)).splitlines()[10].endswith("… and 20 more")


def test_a_value_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    planted = changed("spec.source.sftp.password", "planted-password")
    planted["spec"]["source"]["sftp"]["port"] = "planted-password"
    assert "planted-password" not in refused(written(tmp_path, planted))


def test_what_is_no_provider_file(tmp_path: Path) -> None:
    file = tmp_path / "provider.yaml"
    assert f"{file}: cannot be read: No such file or directory" in refused(file)
    file.write_text("kind: OctoProvider\nspec: [1, 2\n")
    assert f"{file}, line 3, column 1: not YAML" in refused(file)
    file.write_text("kind: Pod\n")
    assert "holds no document with `kind: OctoProvider`" in refused(file)
    file.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in refused(file)
    file.write_text("kind: OctoProvider\nspec: text\nmetadata: 3\n")
    assert "spec: Input should be an object" in refused(file)
