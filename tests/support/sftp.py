"""A real OpenSSH server on loopback, with key and password logins that touch no account of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ports import free_port, wait_until_listening

USER = "octosftp"
"""Has root's rights on the server."""
PLAIN_USER = "octoplain"
"""Has none: what a file's mode forbids is forbidden to this one."""
PLAIN_UID = 64001
PASSWORD = "planted-sftp-password"
"""Of both."""


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


def make_ssh_key(path: Path, *options: str, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A key pair of a type that ssh-keygen knows."""
    if kind == "rsa":
        options = ("-b", "2048", *options)  # the default takes seconds
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path), *options], check=True)
    return path


def public_key(path: Path) -> str:
    """Type and key of a pair, without its comment."""
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@contextmanager
def authorized(server: SftpServer, key: str) -> Iterator[None]:
    """Let one more public key in for a while."""
    path = server.folder / "authorized"
    before = path.read_text()
    path.write_text(f"{before}{key}\n")
    try:
        yield
    finally:
        path.write_text(before)


def _accounts(folder: Path) -> None:
    """Copies of the account files with two more users; the server alone sees them, by bind mounts."""
    uid = os.getuid()
    made = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, text=True, stdout=subprocess.PIPE, check=True
    )
    hashed = made.stdout.strip()
    passwd, shadow = Path("/etc/passwd").read_text(), Path("/etc/shadow").read_text()
    users = {USER: f"{uid}:{os.getgid()}", PLAIN_USER: f"{PLAIN_UID}:{PLAIN_UID}"}
    lines = "".join(f"{name}:x:{ids}::{folder}:/bin/sh\n" for name, ids in users.items())
    (folder / "passwd").write_text(passwd + lines)
    (folder / "shadow").write_text(shadow + "".join(f"{name}:{hashed}:19000:0:99999:7:::\n" for name in users))
    (folder / "shadow").chmod(0o600)
    # The machine's own would also want a login session to be registered.
    (folder / "pam").write_text(
        "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n"
    )


@contextmanager
def serving(
    *, host_keys: Sequence[str] = ("ed25519",), options: str = "", prepare: Callable[[Path], None] | None = None
) -> Iterator[SftpServer]:
    """A server of one's own. ``options`` are lines of its configuration, and win over those here; ``{folder}`` in
    them is the server's folder, where ``host_<type>`` are its keys. The first of those is ``SftpServer.host_key``.
    ``prepare`` is called with that folder before the server starts."""
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.fail("needs root, unshare and an OpenSSH server: install Debian's package openssh-server")
    folder = Path(tempfile.mkdtemp(prefix="octo-sftp-"))
    folder.chmod(0o711)
    files = folder / "files"
    files.mkdir()
    hosts, client = (
        [make_ssh_key(folder / f"host_{kind}", kind=kind) for kind in host_keys],
        make_ssh_key(folder / "client"),
    )
    (folder / "authorized").write_text(public_key(client) + "\n")
    _accounts(folder)
    if prepare is not None:
        prepare(folder)
    Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    subsystem = "" if "Subsystem" in options else "Subsystem sftp internal-sftp"
    host_key_lines = "\n".join(f"HostKey {host}" for host in hosts)
    (folder / "config").write_text(
        f"""
{options.format(folder=folder)}
Port {port}
ListenAddress 127.0.0.1
{host_key_lines}
PidFile none
AuthorizedKeysFile {folder}/authorized
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM no
PermitRootLogin yes
StrictModes no
MaxStartups 100
{subsystem}
"""
    )
    mounts = " && ".join(
        f"mount --bind {folder}/{own} {machines}"
        for own, machines in (("passwd", "/etc/passwd"), ("shadow", "/etc/shadow"), ("pam", "/etc/pam.d/sshd"))
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"{mounts} && exec {sshd} -D -f {folder}/config -E {folder}/sshd.log"]
    )
    server = SftpServer(port, folder, files, public_key(hosts[0]), client.read_bytes())
    try:
        wait_until_listening("sshd", process, port, folder / "sshd.log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=240)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sftp_server() -> Iterator[SftpServer]:
    """The server that most tests share; folders come from ``inbox``."""
    with serving() as server:
        yield server


@pytest.fixture
def inbox(sftp_server: SftpServer) -> Inbox:
    """An empty folder."""
    path = sftp_server.files / uuid.uuid4().hex[:12]
    path.mkdir()
    return Inbox(sftp_server, path)
