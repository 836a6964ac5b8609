"""Rows for what an earlier attempt of the same run stored, in case it was killed before it could tell.

A file that is stored is not selected again, so without this nobody would ever say that the run stored it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from octo_core.domain.report import FileOutcome, FileResult
from octo_core.domain.run import RunIdentity
from octo_worker.lookups import facts_of
from octo_worker.selection import Target
from octo_worker.stages.verify import Digest

if TYPE_CHECKING:
    from octo_worker.sinks.s3 import ObjectFacts, S3Sink

CLOCK_SKEW = timedelta(minutes=10)
"""By which the clocks of object store and cluster may differ. Only saves look-ups: metadata decides."""


def rows_of_earlier_attempts(
    sink: S3Sink, job: RunIdentity, stored: Sequence[Target], written: Mapping[str, float]
) -> Iterator[FileResult]:
    """A row ``AlreadyStored`` for each object that carries this run's uid. Blocks. Raises ``Failed``.

    ``written`` has the Unix time at which each key was written.
    """
    since = (job.created_at - CLOCK_SKEW).timestamp()
    young = [target for target in stored if written[target.key] >= since]
    for target, facts in facts_of(sink, young):
        if facts is None or facts.metadata.get("octo-job") != job.uid:
            continue
        at = datetime.fromtimestamp(written[target.key], tz=UTC)
        if target.opening.archive is None:
            yield _single(sink, target, facts, at)
        else:
            yield from _members(sink, target, at)


def _single(sink: S3Sink, target: Target, facts: ObjectFacts, at: datetime) -> FileResult:
    sha256 = facts.metadata.get("sha256")
    if sha256 is None:
        # Its digests are written behind a large object, which a crash or the store may not have let happen; the
        # bytes still tell it.
        digest = Digest()
        for piece in sink.read(target.key):
            digest.add(piece)
        sha256 = digest.sha256
    return _row(target, "", target.key, facts.size, sha256, facts.metadata.get("source-sha256"), at)


def _members(sink: S3Sink, target: Target, at: datetime) -> Iterator[FileResult]:
    marker = json.loads(b"".join(sink.read(target.key)))
    for m in marker["members"]:
        yield _row(target, m["name"], m["key"], m["size"], m["sha256"], marker["source"]["sha256"], at)


def _row(
    target: Target, member: str, key: str, size: int, sha256: str, source_sha256: str | None, at: datetime
) -> FileResult:
    return FileResult(
        source_path=target.file.path,
        member=member,
        outcome=FileOutcome.ALREADY_STORED,
        key=key,
        source_size=target.file.stat.size,
        source_modified_at=target.file.stat.modified_at,
        source_sha256=source_sha256,
        size=size,
        sha256=sha256,
        finished_at=at,
    )
