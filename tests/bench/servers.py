"""The servers that all peers talk to: those of the integration tests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minio.deleteobjects import DeleteObject

from tests.bench.launch import cpu_seconds, descendants
from tests.support.s3 import Bucket, serve_s3
from tests.support.sftp import SftpServer, serving


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers, and a bucket."""

    sftp: SftpServer
    bucket: Bucket

    def stored(self, prefix: str) -> dict[str, int]:
        """Key and length of what a run has stored as data."""
        return self.bucket.objects(f"{prefix}/data/")

    def sha256(self, key: str) -> str:
        """Digest of an object."""
        digest = hashlib.sha256()
        response = self.bucket.server.client.get_object(self.bucket.name, key)
        try:
            for chunk in response.stream(1 << 20):
                digest.update(chunk)
        finally:
            response.close()
            response.release_conn()
        return digest.hexdigest()

    def remove(self, prefix: str) -> None:
        """Delete what a run has stored."""
        names = [DeleteObject(key) for key in self.bucket.objects(f"{prefix}/")]
        errors = list(self.bucket.server.client.remove_objects(self.bucket.name, names))
        if errors:
            raise RuntimeError(f"an object could not be removed: {errors[0]}")


@contextmanager
def servers() -> Iterator[Servers]:
    """Both, until the end of the block."""
    with serving() as sftp, serve_s3() as s3:
        s3.client.make_bucket("bench")
        yield Servers(sftp, Bucket(s3, "bench"))


def server_cpu() -> dict[str, float]:
    """CPU seconds that each server has used so far, with the processes it made; by the name of its program."""
    used: dict[str, float] = {}
    for pid in descendants(os.getpid()):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        if name in ("sshd", "sshd-session", "versitygw"):
            name = name.removesuffix("-session")
            used[name] = used.get(name, 0.0) + cpu_seconds(stat, with_reaped=True)
    return used
