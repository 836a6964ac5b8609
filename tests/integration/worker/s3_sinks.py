"""Sinks for the tests of the S3 sink, against a server of tests.support.s3 or a proxy before it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from octo_core.domain.provider import S3Destination
from octo_worker.credentials import Secrets
from octo_worker.sinks.retries import Patience
from octo_worker.sinks.s3 import S3Sink
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket
from tests.support.s3_faults import FaultProxy

QUICK = Patience(first_seconds=0.02, total_seconds=20)


def secrets_in(folder: Path, **values: str | None) -> Secrets:
    """A folder of mounted secrets: the server's root account, or what is given instead."""
    keys: dict[str, str | None] = {"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY, **values}
    (folder / "s3").mkdir(parents=True, exist_ok=True)
    for name, value in keys.items():
        if value is not None:
            (folder / "s3" / name).write_text(value + "\n")
    return Secrets(folder)


@contextmanager
def open_sink(
    of: Bucket,
    folder: Path,
    *,
    proxy: FaultProxy | None = None,
    stop: threading.Event | None = None,
    secrets: Mapping[str, str | None] | None = None,
    patience: Patience = QUICK,
    **settings: Any,
) -> Iterator[S3Sink]:
    """A sink for the bucket, path-style, by way of the proxy if there is one."""
    document = {
        "bucket": of.name,
        "endpoint": proxy.endpoint if proxy else of.server.endpoint,
        "path_style": True,
        **settings,
    }
    destination = S3Destination.model_validate(document)
    with S3Sink(destination, secrets_in(folder, **(secrets or {})), stop=stop, patience=patience) as sink:
        yield sink


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def store(
    sink: S3Sink, key: str, data: bytes, *, overwrite: bool = False, job: str = "job-1", step: int = 1 << 20
) -> bool:
    """Write an object by a writer, as the pipeline does: digests come late."""
    with sink.writer(key, {"octo-job": job}, overwrite=overwrite, expected_size=0) as writer:
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
        return writer.commit({"sha256": sha256(data), "source-sha256": sha256(b"source")})
