"""The manifest: one JSON line for each row of an attempt, beside the data.

The workers that share an attempt each write a part; whoever sees that all parts are there puts them together.
Several may: they write the same.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from octo_core.domain.report import FileResult
from octo_core.domain.run import RunIdentity
from octo_core.domain.status import ManifestRef
from octo_worker.layout import manifest_key, manifest_part_key

if TYPE_CHECKING:
    from octo_worker.sinks.s3 import S3Sink

_LEVEL = 3
_STEP = 256 << 10


class Rows:
    """The rows of an attempt so far, as JSON lines; compressed, since there may be a hundred thousand."""

    def __init__(self) -> None:
        self._compress = zlib.compressobj(_LEVEL)
        self._chunks: list[bytes] = []
        self.count = 0

    def add(self, row: FileResult) -> None:
        """Keep a row."""
        line = row.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"
        chunk = self._compress.compress(line)
        if chunk:
            self._chunks.append(chunk)
        self.count += 1

    def lines(self) -> Iterator[bytes]:
        """The manifest's bytes, in pieces."""
        expand = zlib.decompressobj()
        for chunk in (*self._chunks, self._compress.copy().flush()):
            rest = chunk
            while rest:
                yield expand.decompress(rest, _STEP)
                rest = expand.unconsumed_tail
        yield expand.flush()


def write(
    sink: S3Sink, bucket: str, prefix: str, job: RunIdentity, rows: Rows, *, shard: int, shards: int
) -> ManifestRef | None:
    """Write the manifest and say where it is; None if parts of other workers are still to come. Raises ``Failed``."""
    own = _written(sink, bucket, key_of(prefix, job, shard=shard, shards=shards), job, rows.lines())
    if shards == 1:
        return own
    parts = [key_of(prefix, job, shard=number, shards=shards) for number in range(shards)]
    there = {entry.key for entry in sink.objects(parts[0].rpartition("/")[0])}
    if not there.issuperset(parts):
        return None
    whole = (piece for part in parts for piece in sink.read(part))
    return _written(sink, bucket, manifest_key(prefix, job.name, job.attempt), job, whole)


def key_of(prefix: str, job: RunIdentity, *, shard: int, shards: int) -> str:
    """Key of what one worker writes: the manifest, or its part."""
    if shards == 1:
        return manifest_key(prefix, job.name, job.attempt)
    return manifest_part_key(prefix, job.name, job.attempt, shard)


def _written(sink: S3Sink, bucket: str, key: str, job: RunIdentity, pieces: Iterator[bytes]) -> ManifestRef:
    digest = hashlib.sha256()
    metadata = {"octo-job": job.uid, "Content-Type": "application/jsonl"}
    with sink.writer(key, metadata, overwrite=True) as writer:
        for piece in pieces:
            digest.update(piece)
            writer.write(piece)
        writer.commit()
    return ManifestRef(uri=f"s3://{bucket}/{key}", sha256=digest.hexdigest())
