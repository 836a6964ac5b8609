"""A real OpenSSH server on loopback, with key and password logins that touch no account of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ports import free_port, wait_until_listening

USER = "octosftp"
PASSWORD = "planted-sftp-password"


@dataclass(frozen=True, slots=True)
class SftpServer:
    """A running server. ``files`` is a folder on this machine that the user sees under the same path."""

    port: int
    folder: Path
    files: Path
    host_key: str
    client_key: bytes

    @property
    def known_hosts(self) -> tuple[str, ...]:
        """What a provider would hand out."""
        return (f"[127.0.0.1]:{self.port} {self.host_key}",)

    def log(self) -> str:
        """What sshd wrote."""
        return (self.folder / "sshd.log").read_text(errors="replace")


@dataclass(frozen=True, slots=True)
class Inbox:
    """A folder of a test's own on the server."""

    server: SftpServer
    path: Path

    def put(self, name: str, data: bytes, *, modified_at: float = 1_700_000_000) -> Path:
        """Deliver a file, as of some time in the past."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (modified_at, modified_at))
        return path


def make_ssh_key(path: Path, *options: str) -> Path:
    """An ed25519 key pair."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path), *options], check=True)
    return path


def public_key(path: Path) -> str:
    """Type and key of a pair, without its comment."""
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def _accounts(folder: Path) -> None:
    """Copies of the account files with one more user; the server alone sees them, by bind mounts."""
    uid = os.getuid()
    made = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, text=True, stdout=subprocess.PIPE, check=True
    )
    hashed = made.stdout.strip()
    passwd, shadow = Path("/etc/passwd").read_text(), Path("/etc/shadow").read_text()
    (folder / "passwd").write_text(f"{passwd}{USER}:x:{uid}:{os.getgid()}::{folder}:/bin/sh\n")
    (folder / "shadow").write_text(f"{shadow}{USER}:{hashed}:19000:0:99999:7:::\n")
    (folder / "shadow").chmod(0o600)


@pytest.fixture(scope="session")
def sftp_server() -> Iterator[SftpServer]:
    """The server; folders come from ``inbox``."""
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.fail("needs root, unshare and an OpenSSH server: install Debian's package openssh-server")
    folder = Path(tempfile.mkdtemp(prefix="octo-sftp-"))
    files = folder / "files"
    files.mkdir()
    host, client = make_ssh_key(folder / "host"), make_ssh_key(folder / "client")
    (folder / "authorized").write_text(public_key(client) + "\n")
    _accounts(folder)
    Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    (folder / "config").write_text(
        f"""
Port {port}
ListenAddress 127.0.0.1
HostKey {host}
PidFile none
AuthorizedKeysFile {folder}/authorized
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin yes
StrictModes no
MaxStartups 100
Subsystem sftp internal-sftp
"""
    )
    mounts = f"mount --bind {folder}/passwd /etc/passwd && mount --bind {folder}/shadow /etc/shadow"
    # Without the right to read whatever root likes, so that a test can have files that cannot be read.
    ordinary = "setpriv --bounding-set=-dac_override,-dac_read_search"
    command = f"{mounts} && exec {ordinary} {sshd} -D -f {folder}/config -E {folder}/sshd.log"
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", command])
    server = SftpServer(port, folder, files, public_key(host), client.read_bytes())
    try:
        wait_until_listening("sshd", process, port, folder / "sshd.log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def inbox(sftp_server: SftpServer) -> Inbox:
    """An empty folder."""
    path = sftp_server.files / uuid.uuid4().hex[:12]
    path.mkdir()
    return Inbox(sftp_server, path)
