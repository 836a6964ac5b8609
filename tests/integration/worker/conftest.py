"""Runs the worker as its pod would: a process, a run document, a folder of secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from octo_core.domain.report import FileOutcome, FileResult, Outcome, Report
from tests.support.pgp import PgpKey, remove_ring
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket
from tests.support.sftp import PASSWORD, USER, Inbox

PREFIX = "bank/in"


@dataclass(slots=True)
class Ended:
    """A finished worker."""

    code: int
    outcome: Outcome
    log: str


@dataclass(slots=True)
class WorkerPod:
    """What a run's pod mounts. ``document`` and the secrets may be changed before ``run``."""

    folder: Path
    bucket: Bucket
    document: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    killed: bool = False
    """Set by a test that kills the worker; its key ring then stays behind, as in a pod whose volume goes with it."""

    def secret(self, name: str, value: bytes | str | None) -> None:
        """Mount a secret file, or take it away."""
        path = self.folder / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if value is not None:
            path.write_bytes(value.encode() if isinstance(value, str) else value)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the worker."""
        (self.folder / "run.json").write_text(json.dumps(self.document))
        (self.folder / "outcome.json").write_text("")
        environment = {
            "PATH": os.environ["PATH"],
            "OCTO_RUN_FILE": str(self.folder / "run.json"),
            "OCTO_RUN_SECRETS_DIR": str(self.folder / "secrets"),
            "OCTO_TOKEN_FILE": str(self.folder / "token"),
            "OCTO_MEMORY_DIR": str(self.folder / "m"),
            "OCTO_TERMINATION_LOG": str(self.folder / "outcome.json"),
            "OCTO_REPORT_FLUSH_SECONDS": "2",
            **self.environment,
        }
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen([sys.executable, "-m", "octo_worker"], env=environment, stderr=log, stdout=log)

    def end(self, process: subprocess.Popen[bytes], timeout: float = 240) -> Ended:
        """Wait for the worker and read what it left."""
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        log = self.log()
        text = (self.folder / "outcome.json").read_bytes()
        assert len(text) <= 4096
        assert code < 0 or text, log
        return Ended(code, Outcome.model_validate_json(text) if text else Outcome(reason="Killed"), log)

    def run(self, *, attempt: int = 1, uid: str = "uid-1") -> Ended:
        """Run the worker to its end."""
        self.document["job"] |= {"attempt": attempt, "uid": uid}
        return self.end(self.start())

    def log(self) -> str:
        """What the worker has logged so far."""
        return (self.folder / "log").read_text()

    def manifest(self, attempt: int = 1) -> list[FileResult]:
        """The rows that the worker wrote beside the data."""
        key = f"{PREFIX}/manifests/{self.document['job']['name']}/{attempt}.jsonl"
        return [FileResult.model_validate_json(line) for line in self.bucket.read(key).splitlines()]

    def failures(self, attempt: int = 1) -> dict[str, str]:
        """Name of each failed file, with its category."""
        return {
            Path(row.source_path).name: str(row.category)
            for row in self.manifest(attempt)
            if row.outcome is FileOutcome.FAILED
        }

    def data(self) -> dict[str, bytes]:
        """Every stored object below ``data``, by the rest of its key."""
        start = f"{PREFIX}/data/"
        return {key.removeprefix(start): self.bucket.read(key) for key in self.bucket.objects(start)}


@pytest.fixture
def pod(inbox: Inbox, bucket: Bucket, pgp_key: PgpKey) -> Iterator[WorkerPod]:
    """A pod for a provider whose files lie in ``inbox``, with key login and the key they are encrypted to."""
    # Not below pytest's own folder: gpg-agent's socket needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="octo-pod-"))
    (folder / "m").mkdir()
    (folder / "token").write_text("planted-report-token\n")
    document: dict[str, Any] = {
        "job": {
            "namespace": "octo",
            "name": "nightly",
            "uid": "uid-1",
            "attempt": 1,
            "provider": "bank",
            "createdAt": "2026-01-02T03:04:05Z",
        },
        "parameters": {},
        "source": {
            "sftp": {
                "host": "127.0.0.1",
                "port": inbox.server.port,
                "username": USER,
                "credentialsSecretRef": {"name": "sftp"},
                "hostKeys": list(inbox.server.known_hosts),
            }
        },
        "decrypt": {"openpgp": {"mode": "Auto"}},
        "unpack": {},
        "destination": {
            "s3": {"bucket": bucket.name, "prefix": PREFIX, "endpoint": bucket.server.endpoint, "pathStyle": True}
        },
        "selection": {
            "paths": [str(inbox.path)],
            "include": [],
            "exclude": [],
            "policy": "NewOnly",
            "minAgeSeconds": 0,
            "dryRun": False,
        },
        "transfer": {},
        "reportUrl": None,
    }
    pod = WorkerPod(folder, bucket, document)
    pod.secret("sftp/privateKey", inbox.server.client_key)
    pod.secret("openpgp/privateKey", pgp_key.private)
    pod.secret("openpgp/passphrase", pgp_key.passphrase)
    pod.secret("s3/accessKeyId", ACCESS_KEY)
    pod.secret("s3/secretAccessKey", SECRET_KEY)
    yield pod
    for planted in (PASSWORD, SECRET_KEY, pgp_key.passphrase, "planted-report-token", "PRIVATE KEY"):
        assert planted not in pod.log()
        assert planted not in (folder / "outcome.json").read_text()
    rings = list((folder / "m").iterdir())
    for ring in rings:
        subprocess.run(["gpgconf", "--homedir", str(ring), "--kill", "all"], check=False)
    assert rings == [] or pod.killed
    remove_ring(folder)


@dataclass(slots=True)
class Receiver:
    """Takes reports as the api would."""

    url: str
    reports: list[Report] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    refusals: int = 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A report endpoint; set ``refusals`` to have it answer 503 that often first."""
    received = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.requests.append((self.path, self.headers["Authorization"]))
            if received.refusals:
                received.refusals -= 1
                self.send_response(503)
            else:
                received.reports.append(Report.model_validate_json(body))
                self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield received
        server.shutdown()
        thread.join()


def wait_until(condition: Any, seconds: float = 240) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)
