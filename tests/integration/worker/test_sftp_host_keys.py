"""Pinned host keys against real OpenSSH servers with several keys, changed keys and certificates."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources.sftp import SftpFiles
from tests.support.sftp import SftpServer, make_ssh_key, public_key, serving
from tests.support.sftp_source import content, listed, sftp_files
from tests.support.tcp_faults import Fault, proxied

KINDS = ("ed25519", "ecdsa", "rsa")


@pytest.fixture(scope="module")
def several() -> Iterator[SftpServer]:
    """Has a key of each type."""
    with serving(host_keys=KINDS) as server:
        (server.files / "a.csv").write_bytes(b"data")
        yield server


def key_of(server: SftpServer, kind: str) -> str:
    return public_key(server.folder / f"host_{kind}")


def fingerprint(path: Path) -> str:
    """As a provider would read it out."""
    shown = subprocess.run(["ssh-keygen", "-l", "-f", f"{path}.pub"], text=True, stdout=subprocess.PIPE, check=True)
    return shown.stdout.split()[1]


def hashed(line: str, folder: Path) -> str:
    """A known_hosts line as ``HashKnownHosts`` writes it."""
    path = folder / "known_hosts"
    path.write_text(f"{line}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, stderr=subprocess.DEVNULL)
    return path.read_text().strip()


async def refusal(source: SftpFiles) -> Failed:
    with pytest.raises(Failed) as caught:
        async with source.session():
            pass
    return caught.value


async def connects(source: SftpFiles) -> None:
    async with source.session():
        assert "a.csv" in {name.rpartition("/")[2] for name in await listed(source)}


def source(server: SftpServer, folder: Path, *host_keys: str, port: int | None = None) -> SftpFiles:
    return sftp_files(server, folder, host_keys=host_keys, paths=[str(server.files)], port=port)


@pytest.mark.parametrize("kind", KINDS)
class TestOneOfSeveralTypesIsPinned:
    """Whatever type the server would show first."""

    async def test_as_a_line(self, several: SftpServer, tmp_path: Path, kind: str) -> None:
        await connects(source(several, tmp_path, f"[127.0.0.1]:{several.port} {key_of(several, kind)}"))

    async def test_as_a_hashed_line(self, several: SftpServer, tmp_path: Path, kind: str) -> None:
        line = hashed(f"[127.0.0.1]:{several.port} {key_of(several, kind)}", tmp_path)
        assert line.startswith("|1|")
        await connects(source(several, tmp_path, line))

    async def test_as_a_fingerprint(self, several: SftpServer, tmp_path: Path, kind: str) -> None:
        await connects(source(several, tmp_path, fingerprint(several.folder / f"host_{kind}")))


async def test_what_was_negotiated_serves_further_connections(several: SftpServer, tmp_path: Path) -> None:
    with proxied(several.port) as proxy:
        files = source(several, tmp_path, fingerprint(several.folder / "host_rsa"), port=proxy.port)
        async with files.session():
            assert proxy.accepted == 3  # ed25519 and ecdsa are shown first
            proxy.cut()
            assert await content(files, (await listed(files))["a.csv"]) == b"data"
            assert proxy.accepted == 4


async def test_lines_and_fingerprints_mixed(several: SftpServer, tmp_path: Path) -> None:
    other = public_key(make_ssh_key(tmp_path / "other"))
    mixed = [
        "# from the provider's letter",
        f"[127.0.0.1]:{several.port} {other}",
        fingerprint(tmp_path / "other"),
        fingerprint(several.folder / "host_rsa"),
    ]
    await connects(source(several, tmp_path, *mixed))


async def test_a_line_without_the_port(several: SftpServer, tmp_path: Path) -> None:
    """As ssh takes it."""
    await connects(source(several, tmp_path, f"127.0.0.1 {key_of(several, 'rsa')}"))


@pytest.mark.parametrize("form", ["line", "fingerprint"])
async def test_a_changed_key(sftp_server: SftpServer, tmp_path: Path, form: str) -> None:
    make_ssh_key(tmp_path / "before")
    line = f"[127.0.0.1]:{sftp_server.port} {public_key(tmp_path / 'before')}"
    error = await refusal(source(sftp_server, tmp_path, line if form == "line" else fingerprint(tmp_path / "before")))
    assert error.category is Category.HOST_KEY
    assert error.detail == (
        f"the host key of 127.0.0.1:{sftp_server.port} is not among source.sftp.hostKeys: "
        f"the server shows ssh-ed25519 {fingerprint(sftp_server.folder / 'host_ed25519')}"
    )


async def test_a_key_of_another_type_is_shown_too(sftp_server: SftpServer, tmp_path: Path) -> None:
    """The server just hangs up on a client that asks for a type it has not."""
    before = public_key(make_ssh_key(tmp_path / "before", kind="rsa"))
    error = await refusal(source(sftp_server, tmp_path, f"[127.0.0.1]:{sftp_server.port} {before}"))
    assert error.category is Category.HOST_KEY
    assert f"shows ssh-ed25519 {fingerprint(sftp_server.folder / 'host_ed25519')}" in error.detail


async def test_all_keys_of_a_server_that_has_none_of_the_fingerprints(several: SftpServer, tmp_path: Path) -> None:
    make_ssh_key(tmp_path / "other")
    error = await refusal(source(several, tmp_path, fingerprint(tmp_path / "other")))
    assert error.category is Category.HOST_KEY
    for kind in KINDS:
        assert fingerprint(several.folder / f"host_{kind}") in error.detail


async def test_a_line_for_another_host_says_so(sftp_server: SftpServer, tmp_path: Path) -> None:
    error = await refusal(source(sftp_server, tmp_path, f"bank.example {sftp_server.host_key}"))
    assert error.category is Category.HOST_KEY
    assert error.detail.endswith(f"(no line there is for 127.0.0.1:{sftp_server.port})")


@pytest.mark.parametrize("pattern", ["*", "bank.example"])
async def test_a_revoked_key_is_refused_however_it_is_pinned(
    sftp_server: SftpServer, tmp_path: Path, pattern: str
) -> None:
    shown = fingerprint(sftp_server.folder / "host_ed25519")
    error = await refusal(
        source(
            sftp_server,
            tmp_path,
            f"[127.0.0.1]:{sftp_server.port} {sftp_server.host_key}",
            shown,
            f"@revoked {pattern} {sftp_server.host_key}",
        )
    )
    assert error.category is Category.HOST_KEY
    assert error.detail.endswith(f"shows a host key that source.sftp.hostKeys revokes: ssh-ed25519 {shown}")


async def test_a_refused_key_is_never_tried_again(sftp_server: SftpServer, tmp_path: Path) -> None:
    other = public_key(make_ssh_key(tmp_path / "other"))
    with proxied(sftp_server.port) as proxy:
        error = await refusal(source(sftp_server, tmp_path, f"127.0.0.1 {other}", port=proxy.port))
        assert error.category is Category.HOST_KEY
        assert proxy.accepted == 1


@pytest.mark.parametrize("form", ["line", "fingerprint"])
async def test_a_connection_cut_in_the_key_exchange_is_no_changed_key(
    sftp_server: SftpServer, tmp_path: Path, form: str
) -> None:
    with proxied(sftp_server.port) as proxy:
        proxy.break_next(Fault(after=100), None, Fault(after=100), None)
        line = f"[127.0.0.1]:{proxy.port} {sftp_server.host_key}"
        pinned = line if form == "line" else fingerprint(sftp_server.folder / "host_ed25519")
        async with source(sftp_server, tmp_path, pinned, port=proxy.port).session():
            pass


class TestCertificates:
    """A server whose key an authority certified."""

    async def outcome(
        self, folder: Path, *options: str, revoke: bool = False, pin_another: bool = False, also_plain: bool = False
    ) -> Failed | None:
        authority = make_ssh_key(folder / "authority")

        def certify(server: Path) -> None:
            command = ["ssh-keygen", "-q", "-h", "-s", str(authority), "-I", "host", *options]
            subprocess.run([*command, f"{server / 'host_ed25519'}.pub"], check=True)

        with serving(options="HostCertificate {folder}/host_ed25519-cert.pub", prepare=certify) as server:
            (server.files / "a.csv").write_bytes(b"data")
            where = f"[127.0.0.1]:{server.port}"
            trusted = public_key(make_ssh_key(folder / "other") if pin_another else authority)
            lines = [f"@cert-authority {where} {trusted}"]
            lines += [f"@revoked * {server.host_key}"] if revoke else []
            lines += [f"{where} {server.host_key}"] if also_plain else []
            failed: Failed | None = None
            try:
                await connects(source(server, folder, *lines))
            except Failed as error:
                failed = error
        assert failed is None or failed.category is Category.HOST_KEY
        return failed

    async def test_by_a_pinned_authority(self, tmp_path: Path) -> None:
        assert await self.outcome(tmp_path, "-n", "127.0.0.1") is None

    async def test_by_another_authority(self, tmp_path: Path) -> None:
        error = await self.outcome(tmp_path, pin_another=True)
        assert error is not None
        assert f"by an authority that is not pinned: ssh-ed25519 {fingerprint(tmp_path / 'authority')}" in error.detail

    async def test_by_another_authority_but_the_key_itself_is_pinned(self, tmp_path: Path) -> None:
        assert await self.outcome(tmp_path, pin_another=True, also_plain=True) is None

    async def test_for_another_host(self, tmp_path: Path) -> None:
        error = await self.outcome(tmp_path, "-n", "bank.example")
        assert error is not None
        assert "the host certificate of 127.0.0.1" in error.detail

    async def test_expired(self, tmp_path: Path) -> None:
        error = await self.outcome(tmp_path, "-V", "20200101:20200102")
        assert error is not None
        assert "expired" in error.detail

    async def test_of_a_revoked_key(self, tmp_path: Path) -> None:
        error = await self.outcome(tmp_path, revoke=True)
        assert error is not None
        assert "revokes" in error.detail
