"""A secret in a document is found wherever it stands, and never repeated."""

from __future__ import annotations

from typing import Any

import pytest

from octo_core.domain.inline_secrets import inline_secrets

PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvY3RvIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"hostKeys": ["x", PEM]}, "/hostKeys/1"),
        ({"a": "-----BEGIN RSA PRIVATE KEY-----"}, "/a"),
        ({"a": "-----BEGIN PGP PRIVATE KEY BLOCK-----"}, "/a"),
        ({"endpoint": "https://me:hunter22@s3.example"}, "/endpoint"),
        ({"prefix": "AKIAIOSFODNN7EXAMPLE"}, "/prefix"),
        ({"image": f"x {JWT}"}, "/image"),
        ({"a~/b": {"c": f"octo_{'a' * 12}_{'B' * 43}"}}, "/a~0~1b/c"),
        ({"env": [{"name": "DB_PASSWORD", "value": "hunter22"}]}, "/env/0/value"),
        ({"env": [{"name": "api-key", "value": "hunter22"}]}, "/env/0/value"),
        ({"args": ["--token=hunter22"]}, "/args/0"),
    ],
)
def test_a_secret_is_found_and_not_told(document: dict[str, Any], where: str) -> None:
    ((pointer, why),) = inline_secrets(document)
    assert pointer == where
    assert "hunter22" not in why
    assert "BEGIN" not in why


@pytest.mark.parametrize(
    "document",
    [
        {"hostKeys": ["sftp.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqHbEXAMPLE"]},
        {"credentialsSecretRef": {"name": "token"}, "keySecretRef": {"name": "a", "key": "privateKey"}},
        {"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "token"}}}]},
        {"env": [{"name": "TOKEN", "value": "$(OTHER)"}, {"name": "SECRET", "value": ""}]},
        {"env": [{"name": "TOKEN_FILE", "value": "/run/token"}, {"name": "KEYBOARD", "value": "de"}]},
        {"args": ["--token=$(TOKEN)", "--token-file=/run/token", "--verbose"]},
        {"endpoint": "https://s3.example:9000/x@y", "a": "-----BEGIN PUBLIC KEY-----"},
    ],
)
def test_references_and_innocent_text_pass(document: dict[str, Any]) -> None:
    assert list(inline_secrets(document)) == []
