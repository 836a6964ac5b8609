"""Looks up many objects at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from octo_worker.selection import Target

if TYPE_CHECKING:
    from octo_worker.sinks.s3 import ObjectFacts, S3Sink

AT_ONCE = 16
_BATCH = 512


def facts_of(sink: S3Sink, targets: Sequence[Target]) -> Iterator[tuple[Target, ObjectFacts | None]]:
    """Each target with what is known of its object; None if there is none. Raises ``Failed``."""
    if not targets:
        return
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lookup") as pool:
        for start in range(0, len(targets), _BATCH):
            batch = targets[start : start + _BATCH]
            yield from zip(batch, pool.map(lambda target: sink.facts(target.key), batch), strict=True)
