"""The manifest: one JSON line for each row of an attempt, beside the data.

The workers that share an attempt each write a part; whoever sees that all parts are there puts them together.
Several may: they write the same.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from octo_core.domain.model import rfc3339
from octo_core.domain.report import FileResult, Outcome
from octo_core.domain.run import RunIdentity
from octo_core.domain.status import ManifestRef
from octo_worker.layout import manifest_key, manifest_part_key

if TYPE_CHECKING:
    from octo_worker.sinks.s3 import S3Sink

JOB, PROVIDER, NAMESPACE, CREATED = "octo-job", "octo-provider", "octo-namespace", "octo-created"
REASON, CATEGORY = "octo-reason", "octo-category"
"""Metadata of a manifest: whose it is, and how the attempt ended."""

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
    sink: S3Sink, bucket: str, prefix: str, job: RunIdentity, rows: Rows, ended: Outcome, *, shard: int, shards: int
) -> ManifestRef | None:
    """Write the manifest and say where it is; None if parts of other workers are still to come. Raises ``Failed``."""
    facts = facts_of(job, ended)
    own = _written(sink, bucket, key_of(prefix, job, shard=shard, shards=shards), facts, rows.lines())
    if shards == 1:
        return own
    parts = [key_of(prefix, job, shard=number, shards=shards) for number in range(shards)]
    there = {entry.key for entry in sink.objects(parts[0].rpartition("/")[0])}
    if not there.issuperset(parts):
        return None
    whole = (piece for part in parts for piece in sink.read(part))
    if ended.category is None:
        facts = next((other for other in _facts_of_parts(sink, parts) if other.get(CATEGORY)), facts)
    return _written(sink, bucket, manifest_key(prefix, job.name, job.attempt), facts, whole)


def facts_of(job: RunIdentity, ended: Outcome) -> dict[str, str]:
    """What is written with a manifest: enough to make the run's history from the bucket alone."""
    return {
        JOB: job.uid,
        PROVIDER: job.provider,
        NAMESPACE: job.namespace,
        CREATED: rfc3339(job.created_at),
        REASON: ended.reason,
        CATEGORY: ended.category.value if ended.category else "",
    }


def _facts_of_parts(sink: S3Sink, parts: list[str]) -> Iterator[dict[str, str]]:
    for part in parts:
        found = sink.facts(part)
        if found is not None:
            yield dict(found.metadata)


def key_of(prefix: str, job: RunIdentity, *, shard: int, shards: int) -> str:
    """Key of what one worker writes: the manifest, or its part."""
    if shards == 1:
        return manifest_key(prefix, job.name, job.attempt)
    return manifest_part_key(prefix, job.name, job.attempt, shard)


def _written(sink: S3Sink, bucket: str, key: str, facts: dict[str, str], pieces: Iterator[bytes]) -> ManifestRef:
    digest = hashlib.sha256()
    metadata = {**facts, "Content-Type": "application/jsonl"}
    with sink.writer(key, metadata, overwrite=True) as writer:
        for piece in pieces:
            digest.update(piece)
            writer.write(piece)
        writer.commit()
    return ManifestRef(uri=f"s3://{bucket}/{key}", sha256=digest.hexdigest())
