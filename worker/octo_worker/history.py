"""What the manifests in a bucket tell of past runs: for a Postgres that was lost."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from pydantic import ValidationError

from octo_core.domain.failure import Category
from octo_core.domain.history import PastEnd, PastFile, PastRun
from octo_core.domain.report import FileOutcome, FileResult
from octo_worker import manifest
from octo_worker.failure import Failed, one_line

if TYPE_CHECKING:
    from octo_worker.sinks.s3 import S3Sink

_KEY = re.compile(r"(?P<job>[^/]+)/(?P<attempt>[1-9][0-9]?)(?:/(?P<shard>[0-9]+))?\.jsonl")


@dataclass(frozen=True, slots=True)
class _Found:
    """A manifest, or the part of one worker of several."""

    key: str
    job: str
    attempt: int
    part: bool
    modified_at: datetime


def lines(sink: S3Sink, bucket: str, prefix: str, provider: str) -> Iterator[PastRun | PastFile | PastEnd]:
    """Every attempt below a prefix, one line at a time; ``provider`` is whose they are where they do not say it.

    Raises ``Failed``. What is no manifest, or cannot be told whose it is, is left out.
    """
    # S3 lists in the order of keys, in which `1.jsonl` comes right before what lies below `1/`.
    for _, group in groupby(_manifests(sink, prefix), key=lambda found: (found.job, found.attempt)):
        whole = False
        for found in group:
            whole = whole or not found.part
            # A part counts where nobody came to put the parts together.
            if not (whole and found.part):
                yield from _attempt(sink, bucket, found, provider)


def _manifests(sink: S3Sink, prefix: str) -> Iterator[_Found]:
    folder = f"{prefix}/manifests" if prefix else "manifests"
    for entry in sink.objects(folder):
        match = _KEY.fullmatch(entry.key.removeprefix(f"{folder}/"))
        if match is not None:
            attempt, part = int(match["attempt"]), match["shard"] is not None
            yield _Found(entry.key, match["job"], attempt, part, entry.modified_at)


def _attempt(sink: S3Sink, bucket: str, found: _Found, provider: str) -> Iterator[PastRun | PastFile | PastEnd]:
    facts = sink.facts(found.key)
    if facts is None or not facts.metadata.get(manifest.JOB):
        return
    said = facts.metadata
    created = said.get(manifest.CREATED)
    yield PastRun(
        uid=said[manifest.JOB],
        name=found.job,
        attempt=found.attempt,
        provider=said.get(manifest.PROVIDER) or provider,
        namespace=said.get(manifest.NAMESPACE),
        created_at=datetime.fromisoformat(created) if created else None,
        ended_at=found.modified_at.astimezone(UTC),
    )
    digest, done, failed = hashlib.sha256(), 0, 0
    for line in _split(sink.read(found.key)):
        digest.update(line)
        row = _row(found.key, line)
        failed += row.outcome is FileOutcome.FAILED
        done += row.outcome is not FileOutcome.FAILED
        yield PastFile(**row.model_dump())
    reason, category = said.get(manifest.REASON), _category(said.get(manifest.CATEGORY, ""))
    if reason is None:
        # Of a worker that did not say yet how it ended.
        reason, category = ("FilesFailed", Category.UNKNOWN) if failed else ("Completed", None)
    if found.part:
        reason, category = "Incomplete", category or Category.UNKNOWN
    yield PastEnd(
        category=category,
        reason=reason,
        files=done,
        failed=failed,
        uri=f"s3://{bucket}/{found.key}",
        sha256=digest.hexdigest(),
    )


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines with their ends, of which a few are in memory at once."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def _row(key: str, line: bytes) -> FileResult:
    try:
        # A newer worker may have said more.
        return FileResult.model_validate_json(line, extra="ignore")
    except ValidationError as error:
        raise Failed(Category.INTEGRITY, f"{key} is no manifest: {one_line(error)}") from None


def _category(word: str) -> Category | None:
    try:
        return Category(word) if word else None
    except ValueError:
        return Category.UNKNOWN
