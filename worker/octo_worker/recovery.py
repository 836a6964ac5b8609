"""Rows for what an earlier attempt of the same run stored, in case it was killed before it could tell.

A file that is stored is not selected again, so without this nobody would ever say that the run stored it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

from octo_core.domain.report import FileOutcome, FileResult
from octo_core.domain.run import RunIdentity
from octo_worker.selection import Target
from octo_worker.sinks.s3 import ObjectFacts, S3Sink
from octo_worker.stages.verify import Digest

LOOKUPS_AT_ONCE = 16
CLOCK_SKEW = timedelta(minutes=10)
"""By which the clocks of object store and cluster may differ. Only saves look-ups: metadata decides."""


async def rows_of_earlier_attempts(
    sink: S3Sink, job: RunIdentity, stored: Sequence[Target], written: Mapping[str, datetime]
) -> list[FileResult]:
    """A row ``AlreadyStored`` for each object that carries this run's uid. Raises ``Failed``."""
    young = [target for target in stored if written[target.key] >= job.created_at - CLOCK_SKEW]
    gate = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def look(target: Target) -> list[FileResult]:
        async with gate:
            facts = await sink.facts(target.key)
            if facts is None or facts.metadata.get("octo-job") != job.uid:
                return []
            if target.opening.shape.archive:
                return await _members(sink, target, written[target.key])
            return [await _single(sink, target, facts, written[target.key])]

    return [row for rows in await asyncio.gather(*map(look, young)) for row in rows]


async def _single(sink: S3Sink, target: Target, facts: ObjectFacts, at: datetime) -> FileResult:
    sha256 = facts.metadata.get("sha256")
    if sha256 is None:
        # A multipart upload's digest was not known when its metadata was sent; the bytes still tell it.
        digest = Digest()
        async with aclosing(sink.read(target.key)) as pieces:
            async for piece in pieces:
                digest.add(piece)
        sha256 = digest.sha256
    return _row(target, "", target.key, facts.size, sha256, facts.metadata.get("source-sha256"), at)


async def _members(sink: S3Sink, target: Target, at: datetime) -> list[FileResult]:
    async with aclosing(sink.read(target.key)) as pieces:
        marker = json.loads(b"".join([piece async for piece in pieces]))
    return [
        _row(target, m["name"], m["key"], m["size"], m["sha256"], marker["source"]["sha256"], at)
        for m in marker["members"]
    ]


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
