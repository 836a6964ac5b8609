"""The manifest: one JSON line for each row of an attempt, beside the data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from octo_core.domain.report import FileResult
from octo_core.domain.run import RunIdentity
from octo_core.domain.status import ManifestRef
from octo_worker.layout import manifest_key
from octo_worker.sinks.s3 import S3Sink


def lines(rows: Iterable[FileResult]) -> bytes:
    """The rows as JSON lines."""
    return b"".join(row.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n" for row in rows)


async def write(sink: S3Sink, bucket: str, prefix: str, job: RunIdentity, rows: Iterable[FileResult]) -> ManifestRef:
    """Write the manifest and say where it is. Raises ``Failed``."""
    content, key = lines(rows), manifest_key(prefix, job.name, job.attempt)
    metadata = {"octo-job": job.uid, "Content-Type": "application/jsonl"}
    await sink.put(key, content, metadata, overwrite=True)
    return ManifestRef(uri=f"s3://{bucket}/{key}", sha256=hashlib.sha256(content).hexdigest())
