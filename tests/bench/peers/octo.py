"""Octo's worker as a run's pod starts it: a process, a run document, a folder of secrets. All settings are defaults."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.data import PASSPHRASE, Key, Workload
from tests.bench.servers import Servers
from tests.support.s3 import ACCESS_KEY, SECRET_KEY
from tests.support.sftp import USER


@dataclass(frozen=True, slots=True)
class Octo:
    """A pod's volumes."""

    folder: Path
    servers: Servers

    @property
    def environment(self) -> dict[str, str]:
        """What the worker is run with. PYTHONPATH is passed on, to measure the worker of another checkout."""
        return {
            "PATH": os.environ["PATH"],
            "OCTO_RUN_FILE": str(self.folder / "run.json"),
            "OCTO_RUN_SECRETS_DIR": str(self.folder / "secrets"),
            "OCTO_TOKEN_FILE": str(self.folder / "token"),
            "OCTO_MEMORY_DIR": str(self.folder / "m"),
            "OCTO_TERMINATION_LOG": str(self.folder / "outcome.json"),
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        }

    def command(self, workload: Workload, key: Key, prefix: str) -> list[str]:
        """Write the run document and the key for a folder of files."""
        self._secret("openpgp/privateKey", key.private.read_bytes())
        self._secret("openpgp/passphrase", PASSPHRASE.encode())
        (self.folder / "run.json").write_text(json.dumps(self._document(workload, prefix)))
        return [sys.executable, "-m", "octo_worker"]

    def _document(self, workload: Workload, prefix: str) -> dict[str, Any]:
        bucket = self.servers.bucket
        return {
            "job": {
                "namespace": "octo",
                "name": "bench",
                "uid": prefix,
                "attempt": 1,
                "provider": "bench",
                "createdAt": "2026-01-02T03:04:05Z",
            },
            "parameters": {},
            "source": {
                "sftp": {
                    "host": "127.0.0.1",
                    "port": self.servers.sftp.port,
                    "username": USER,
                    "credentialsSecretRef": {"name": "sftp"},
                    "hostKeys": list(self.servers.sftp.known_hosts),
                }
            },
            "decrypt": {"openpgp": {"mode": "Auto"}},
            "unpack": {},
            "destination": {
                "s3": {"bucket": bucket.name, "prefix": prefix, "endpoint": bucket.server.endpoint, "pathStyle": True}
            },
            "selection": {
                "paths": [str(workload.folder)],
                "include": [],
                "exclude": [],
                "policy": "NewOnly",
                "minAgeSeconds": 0,
                "dryRun": False,
            },
            "transfer": {},
            "reportUrl": None,
        }

    def _secret(self, name: str, value: bytes) -> None:
        path = self.folder / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value)


@contextmanager
def pod(servers: Servers) -> Iterator[Octo]:
    """A pod's folder in memory, as its volumes are."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(prefix="octo-bench-", dir=shared if os.access(shared, os.W_OK) else None) as folder:
        octo = Octo(Path(folder), servers)
        (octo.folder / "m").mkdir()
        (octo.folder / "token").write_text("bench\n")
        octo._secret("sftp/privateKey", servers.sftp.client_key)
        octo._secret("s3/accessKeyId", ACCESS_KEY.encode())
        octo._secret("s3/secretAccessKey", SECRET_KEY.encode())
        yield octo
