"""Planted secrets, looked for in all that a worker shows or leaves: logs, outcome, manifest, objects, processes."""

from __future__ import annotations

import base64
import re
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from octo_core.domain.failure import Category
from tests.integration.worker.adversarial.processes import arguments, processes
from tests.integration.worker.conftest import PREFIX, Receiver, WorkerPod, wait_until
from tests.integration.worker.held import held
from tests.support.pgp import PgpKey
from tests.support.s3 import SECRET_KEY
from tests.support.samples import csv, noise, tar_gz
from tests.support.sftp import PASSWORD, Inbox

KEY_PASSPHRASE = "planted-ssh-passphrase"
SESSION_TOKEN = "planted-s3-session-token"
REPORT_TOKEN = "planted-report-token"
PASSWORD_ONLY = {"sftp/privateKey": None, "sftp/passphrase": None}


class Watch:
    """Collects what the worker and every process that it starts show in /proc while it runs."""

    def __init__(self) -> None:
        self.root: int | None = None
        self.shown: set[bytes] = set()
        self.programs: set[str] = set()
        self.core_limits: set[str] = set()
        self._done = threading.Event()

    def run(self) -> None:
        """Sample until told to end."""
        while not self._done.wait(0.01):
            if self.root is not None:
                self._sample(self.root)

    def end(self) -> None:
        """End it."""
        self._done.set()

    def _sample(self, root: int) -> None:
        parents: dict[int, int] = {}
        for process in processes():
            with suppress(OSError, IndexError):  # it may have ended meanwhile
                # After the command, which may have spaces and brackets in it: state, parent, group, session.
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                parents[int(process.name)] = int(fields[1])
        for pid in parents:
            process = Path(f"/proc/{pid}")
            words = arguments(process)
            # An agent leaves its parent; it is known by the ring that it serves.
            if not (_descends(pid, root, parents) or any("/octo-pod-" in word for word in words[1:])):
                continue
            with suppress(OSError, IndexError):  # it may have ended meanwhile
                self.shown.add((process / "cmdline").read_bytes())
                self.shown.add((process / "environ").read_bytes())
                limits = (process / "limits").read_text()
                self.core_limits |= set(re.findall(r"^Max core file size +(\S+)", limits, re.MULTILINE))
                self.programs.add(Path(words[0]).name)


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid > 1:
        if pid == root:
            return True
        pid = parents.get(pid, 0)
    return False


@contextmanager
def watching() -> Iterator[Watch]:
    """A watch over the worker whose pid is set on it."""
    watch = Watch()
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()


@pytest.fixture
def planted(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, tmp_path: Path) -> list[bytes]:
    """Every key of every Secret has a value of its own. What must not be found is given back, in each disguise."""
    key = tmp_path / "client"
    key.write_bytes(inbox.server.client_key)
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", KEY_PASSPHRASE, "-f", str(key)], check=True)
    pod.secret("sftp/privateKey", key.read_bytes())
    pod.secret("sftp/passphrase", KEY_PASSPHRASE)
    pod.secret("sftp/password", PASSWORD)
    lines = [
        line
        for pem in (key.read_bytes(), inbox.server.client_key, pgp_key.private)
        for line in pem.splitlines()
        if len(line) > 40 and not line.startswith(b"-----")
    ]
    values = [PASSWORD, KEY_PASSPHRASE, pgp_key.passphrase, SECRET_KEY, SESSION_TOKEN, REPORT_TOKEN]
    found = [*lines, b"PRIVATE KEY"]
    for value in values:
        found += disguises(value.encode())
    return found


def disguises(secret: bytes) -> list[bytes]:
    """A secret as it is, and in the ways that text is wrapped up."""
    text = secret.decode()
    encoded = [base64.b64encode(b"." * shift + secret) for shift in range(3)]
    # What is before and after it blurs the first and the last of the characters.
    wrapped = [code.rstrip(b"=")[shift + 2 : -2] for shift, code in enumerate(encoded)]
    return [secret, *wrapped, secret.hex().encode(), quote(text).encode(), quote_plus(text).encode()]


def everything_left(pod: WorkerPod) -> Iterator[tuple[str, bytes]]:
    """All that a worker wrote anywhere, by where it is."""
    for path in pod.folder.rglob("*"):
        if path.is_file() and "secrets" not in path.parts and path.name != "token":
            yield str(path), path.read_bytes()
    for key in pod.bucket.objects():
        yield key, key.encode() + str(pod.bucket.metadata(key)).encode() + str(pod.bucket.tags(key)).encode()
        if not key.startswith(f"{PREFIX}/data/"):
            yield key, pod.bucket.read(key)


def assert_nowhere(planted: list[bytes], shown: Iterator[tuple[str, bytes]]) -> None:
    """None of the secrets is in any of it."""
    found = {(where, secret) for where, content in shown for secret in planted if secret in content}
    assert found == set()


def test_no_secret_is_shown_by_a_run_that_goes_well(
    pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, receiver: Receiver, planted: list[bytes], tmp_path: Path
) -> None:
    inbox.put("a.csv.gpg", pgp_key.encrypt(csv(1)))
    inbox.put("large.csv.gpg", pgp_key.encrypt(noise(1, 16 << 20), "-z", "0"))
    inbox.put("pack.tar.gz.gpg", pgp_key.encrypt(tar_gz({"x.csv": csv(2)})))
    inbox.put("bad.csv.gpg", b"no message")
    pod.document["reportUrl"] = receiver.url
    pod.environment |= {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    before = {path for path in tmp_path.rglob("*") if path.is_file()}

    with watching() as watch:
        process = pod.start()
        watch.root = process.pid
        ended = pod.end(process)

    assert ended.code == 32, ended.log
    assert {"gpg", "gpg-agent"} <= watch.programs
    assert any(b"--homedir" in content for content in watch.shown)
    assert any(b"OCTO_RUN_SECRETS_DIR" in content for content in watch.shown)
    assert_nowhere(planted, everything_left(pod))
    assert_nowhere(planted, (("/proc", content) for content in watch.shown))
    reports = [report.model_dump_json().encode() for report in receiver.reports]
    assert reports
    assert_nowhere(planted, (("report", content) for content in reports))
    assert {auth for _, auth in receiver.requests} == {f"Bearer {REPORT_TOKEN}"}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    assert list((pod.folder / "m").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "category"),
    [
        ({**PASSWORD_ONLY, "sftp/password": "planted-wrong-password"}, Category.AUTH),
        ({"sftp/passphrase": "planted-wrong-passphrase"}, Category.AUTH),
        ({"sftp/privateKey": "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted-broken-key\n"}, Category.AUTH),
        ({"sftp/certificate": "ssh-ed25519-cert-v01@openssh.com planted-broken-certificate"}, None),
        ({"openpgp/privateKey": "planted-broken-key"}, Category.DECRYPT),
        ({"openpgp/privateKey": "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nplanted-broken-key\n"}, Category.DECRYPT),
        ({"openpgp/passphrase": "planted-wrong-passphrase"}, Category.DECRYPT),
        ({"s3/secretAccessKey": "planted-wrong-secret"}, Category.AUTH),
        ({"s3/secretAccessKey": "planted\nwith\r\nlines\x01"}, None),
        ({"s3/sessionToken": SESSION_TOKEN}, None),
        ({"s3/sessionToken": "planted\ntoken\x01"}, Category.CONFIG),
        ({"s3/accessKeyId": "planted\r\nkey: 1"}, Category.CONFIG),
        ({**PASSWORD_ONLY, "sftp/password": b"planted-\xff\xfe-bytes"}, None),
        ({"openpgp/passphrase": b"planted-\xff\xfe-bytes"}, None),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else str(value),
)
def test_no_secret_is_shown_by_a_run_that_fails(
    pod: WorkerPod,
    inbox: Inbox,
    pgp_key: PgpKey,
    planted: list[bytes],
    changes: dict[str, str | bytes | None],
    category: Category | None,
) -> None:
    inbox.put("a.csv.gpg", pgp_key.encrypt(csv(1)))
    for name, value in changes.items():
        pod.secret(name, value)

    with watching() as watch:
        process = pod.start()
        watch.root = process.pid
        ended = pod.end(process)

    if category is not None:
        assert ended.outcome.category is category, ended.log
    assert ended.outcome.category is not Category.UNKNOWN, ended.log
    hidden = [secret for secret in planted if secret != b"PRIVATE KEY"] + [b"planted-", b"planted\n", b"planted\\n"]
    assert_nowhere(hidden, everything_left(pod))
    assert_nowhere(hidden, (("/proc", content) for content in watch.shown))


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT])
def test_no_core_is_left_by_a_crash(
    pod: WorkerPod,
    inbox: Inbox,
    pgp_key: PgpKey,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    pod.killed = True
    inbox.put("large.csv.gpg", pgp_key.encrypt(noise(1, 60 << 20), "-z", "0"))
    # The worker starts allowed to leave a core, in a folder of its own.
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    monkeypatch.chdir(tmp_path)
    # What a shell runs in the background ignores SIGQUIT, and so would the worker.
    ignored = signal.getsignal(number) is signal.SIG_IGN
    if ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        with held(pod.document["source"]["sftp"], inbox.server, after=40 << 20), watching() as watch:
            process = pod.start()
            watch.root = process.pid
            wait_until(lambda: "gpg" in watch.programs)
            wait_until(pod.bucket.open_uploads)
            # Held while one looks, so that it does not end before it crashes.
            process.send_signal(signal.SIGSTOP)
            watch.core_limits.clear()
            wait_until(lambda: watch.core_limits)
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            ended = pod.end(process)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        if ignored:
            signal.signal(number, signal.SIG_IGN)

    assert ended.code == -number
    assert watch.core_limits <= {"0", "1"}
    assert [path.name for path in tmp_path.iterdir()] == []
