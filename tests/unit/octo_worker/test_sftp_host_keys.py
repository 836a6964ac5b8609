from __future__ import annotations

import asyncssh
import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources.sftp.host_keys import CERTIFICATE, KEY_TYPES, HostKeys, algorithms, described, pinned

KEYS = {kind: asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256")}
ED25519, ECDSA = (key.convert_to_public() for key in KEYS.values())


def text(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


def keys(*entries: str, host: str = "sftp.bank.example", port: int = 22) -> HostKeys:
    return pinned(host, port, entries)


@pytest.mark.parametrize("form", ["{0}", "256 {0} root@host (ED25519)", "{0}=", "  {0}  "])
def test_fingerprints(form: str) -> None:
    found = keys(form.format(ED25519.get_fingerprint()))
    assert found.trusts(ED25519, "")
    assert not found.trusts(ECDSA, "")
    assert found.types == KEY_TYPES


@pytest.mark.parametrize(
    ("hosts", "trusted"),
    [
        ("sftp.bank.example", True),
        ("SFTP.bank.example", True),
        ("*.bank.example", True),
        ("other,sftp.bank.example", True),
        ("192.0.2.7", True),
        ("*,!sftp.bank.example", False),
        ("bank.example", False),
        ("[sftp.bank.example]:2222", False),
    ],
)
def test_lines_are_for_hosts(hosts: str, trusted: bool) -> None:
    assert keys(f"{hosts} {text(ED25519)}").trusts(ED25519, "192.0.2.7") is trusted


def test_a_line_for_the_port_wins_over_one_without() -> None:
    both = (f"[sftp.bank.example]:2222 {text(ED25519)}", f"sftp.bank.example {text(ECDSA)}")
    found = keys(*both, port=2222)
    assert found.trusts(ED25519, "")
    assert not found.trusts(ECDSA, "")


def test_types_are_asked_for_in_order() -> None:
    line = f"sftp.bank.example {text(ECDSA)}"
    assert keys(line).types == ("ecdsa-sha2-nistp256",)
    assert keys(line, ED25519.get_fingerprint()).types[0] == "ecdsa-sha2-nistp256"
    assert set(keys(line, ED25519.get_fingerprint()).types) == set(KEY_TYPES)
    assert keys(f"@cert-authority * {text(ED25519)}").types == (CERTIFICATE,)
    assert algorithms(("ssh-rsa", "ssh-ed25519"))[0] == "rsa-sha2-512"
    assert all(name.endswith("-cert-v01@openssh.com") for name in algorithms((CERTIFICATE,)))


def test_an_authority_is_no_host_key() -> None:
    found = keys(f"@cert-authority * {text(ED25519)}")
    assert found.trusts_authority(ED25519, "")
    assert not found.trusts(ED25519, "")
    assert not keys(f"* {text(ED25519)}").trusts_authority(ED25519, "")


def test_revoked_wins_for_every_host() -> None:
    found = keys(f"* {text(ED25519)}", ED25519.get_fingerprint(), f"@revoked other.example {text(ED25519)}")
    assert not found.trusts(ED25519, "")
    assert not keys(f"@cert-authority * {text(ECDSA)}", f"@revoked * {text(ECDSA)}").trusts_authority(ECDSA, "")


def test_a_block_of_lines_in_one_entry() -> None:
    block = f"# the two keys\n\n* {text(ED25519)}\n{ECDSA.get_fingerprint()}\n"
    assert keys(block).trusts(ED25519, "")
    assert keys(block).trusts(ECDSA, "")


@pytest.mark.parametrize(
    "entry",
    [
        "nonsense",
        "sftp.bank.example ssh-ed25519",
        "sftp.bank.example ssh-ed25519 AAAA",
        f"@unknown * {text(ED25519)}",
        "|2|salt|hash " + text(ED25519),
        "SHA256:short",
        "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        ED25519.get_fingerprint()[:-1] + ("B" if not ED25519.get_fingerprint().endswith("B") else "C"),
        text(ED25519),
    ],
)
def test_an_entry_that_is_neither_is_named(entry: str) -> None:
    with pytest.raises(Failed, match=r"hostKeys\[1\] is neither a known_hosts line nor") as caught:
        keys(f"* {text(ED25519)}", entry)
    assert caught.value.category is Category.CONFIG


@pytest.mark.parametrize("entry", ["# nothing yet", f"@revoked * {text(ED25519)}"])
def test_something_must_be_pinned(entry: str) -> None:
    with pytest.raises(Failed, match="pins no key") as caught:
        keys(entry)
    assert caught.value.category is Category.CONFIG


def test_described_as_a_person_compares_it() -> None:
    assert described(ED25519) == f"ssh-ed25519 {ED25519.get_fingerprint()}"
