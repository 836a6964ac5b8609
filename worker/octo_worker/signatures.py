"""Detached signatures: files beside those that they sign."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sources import RemoteFile, Source
from octo_worker.sources.tries import Tries
from octo_worker.stages.decrypt import MAX_SIGNATURE

SIGNATURES = (".sig", ".asc")
"""Endings of a detached signature, behind the name of the file that it signs."""


@dataclass(frozen=True, slots=True)
class Detached:
    """A signature as it lies on the server."""

    path: str
    data: bytes


async def detached_signature(source: Source, file: RemoteFile, tries: Tries | None = None) -> Detached | None:
    """The first that lies beside a file; None if there is none."""
    for ending in SIGNATURES:
        beside = await source.find(file.path + ending, tries)
        if beside is None:
            continue
        if beside.size > MAX_SIGNATURE:
            raise Failed(Category.INTEGRITY, f"{beside.path} is too long for a detached signature")
        async with aclosing(source.read(beside, tries)) as blocks:
            return Detached(beside.path, b"".join([block async for block in blocks]))
    return None
