"""Runs ``octo-worker`` as a person would: a provider's file, a folder of secrets, a terminal or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pgp import PgpKey, remove_ring
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket
from tests.support.sftp import PASSWORD, USER, Inbox

PREFIX = "bank/in"


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """The JSON objects on standard output, of one kind or all."""
        found = [json.loads(line) for line in self.out.splitlines()]
        return [event for event in found if name in ("", event["event"])]


@dataclass(slots=True)
class Laptop:
    """A folder with a provider's file and secrets. Both may be changed before a command runs."""

    folder: Path
    memory: Path
    bucket: Bucket
    provider: dict[str, Any]
    said: list[str] = field(default_factory=list)

    def secret(self, name: str, value: bytes | str | None) -> None:
        """Write ``<Secret>/<key>``, or take it away."""
        path = self.folder / "secrets" / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if value is not None:
            path.write_bytes(value.encode() if isinstance(value, str) else value)
            path.chmod(0o600)

    def command(self, *arguments: str) -> list[str]:
        """A command line, with the provider's file as it is now."""
        file = self.folder / "provider.yaml"
        file.write_text(yaml.safe_dump(self.provider))
        name, *rest = arguments
        memory = () if name == "plan" else ("--memory-dir", str(self.memory))
        return [sys.executable, "-m", "octo_worker", name, "--provider", str(file), *memory, *rest]

    def environment(self) -> dict[str, str]:
        """What a command sees: nothing of the tests' own."""
        return {"PATH": os.environ["PATH"], "TMPDIR": str(self.folder / "tmp"), "TERM": "xterm", "LC_ALL": "C.UTF-8"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; give it to ``end``."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: subprocess.Popen[str]) -> Done:
        """Wait for a command."""
        try:
            out, err = process.communicate(timeout=240)
        finally:
            process.kill()
            process.wait()
        self.said += [out, err]
        return Done(process.returncode, out, err)

    def run(self, *arguments: str) -> Done:
        """Run a command to its end."""
        return self.end(self.start(*arguments))

    def data(self) -> dict[str, bytes]:
        """Every stored object below ``data``, by the rest of its key."""
        start = f"{PREFIX}/data/"
        return {key.removeprefix(start): self.bucket.read(key) for key in self.bucket.objects(start)}


@pytest.fixture
def laptop(inbox: Inbox, bucket: Bucket, pgp_key: PgpKey) -> Iterator[Laptop]:
    """For a provider whose files lie in ``inbox``. Afterwards nothing may be left, and no secret have been said."""
    folder = Path(tempfile.mkdtemp(prefix="octo-laptop-"))
    memory = Path(tempfile.mkdtemp(prefix="o-", dir="/dev/shm"))
    (folder / "tmp").mkdir()
    provider: dict[str, Any] = {
        "apiVersion": "octo.dev/v1alpha1",
        "kind": "OctoProvider",
        "metadata": {"name": "bank"},
        "spec": {
            "source": {
                "sftp": {
                    "host": "127.0.0.1",
                    "port": inbox.server.port,
                    "username": USER,
                    "paths": [str(inbox.path)],
                    "credentialsSecretRef": {"name": "bank-sftp"},
                    "hostKeys": list(inbox.server.known_hosts),
                }
            },
            "decrypt": {
                "openpgp": {
                    "keySecretRef": {"name": "bank-openpgp", "key": "privateKey"},
                    "passphraseSecretRef": {"name": "bank-openpgp", "key": "passphrase"},
                }
            },
            "destination": {
                "s3": {
                    "bucket": bucket.name,
                    "prefix": PREFIX,
                    "endpoint": bucket.server.endpoint,
                    "pathStyle": True,
                    "credentialsSecretRef": {"name": "landing-s3"},
                }
            },
        },
    }
    made = Laptop(folder, memory, bucket, provider)
    made.secret("bank-sftp/privateKey", inbox.server.client_key)
    made.secret("bank-openpgp/privateKey", pgp_key.private)
    made.secret("bank-openpgp/passphrase", pgp_key.passphrase)
    made.secret("landing-s3/accessKeyId", ACCESS_KEY)
    made.secret("landing-s3/secretAccessKey", SECRET_KEY)
    yield made
    said = "\n".join(made.said)
    for planted in (PASSWORD, SECRET_KEY, pgp_key.passphrase, "PRIVATE KEY"):
        assert planted not in said
    rings = list(memory.iterdir())
    for ring in rings:
        subprocess.run(["gpgconf", "--homedir", str(ring), "--kill", "all"], check=False)
    left = list((folder / "tmp").iterdir())
    remove_ring(memory)
    remove_ring(folder)
    assert (rings, left) == ([], []), "key rings and folders of secrets are gone"
    assert bucket.open_uploads() == []
