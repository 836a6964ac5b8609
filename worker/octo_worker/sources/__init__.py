"""What a source of files must offer, and how one is found.

A source type is an entry point of the group ``octo.sources``: a callable that takes the run and its
secrets and returns a ``Source``. The built-in one is ``sftp``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from typing import Protocol

from octo_core.domain.failure import Category
from octo_core.domain.run import Run
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed

GROUP = "octo.sources"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What tells whether a file changed while it was read."""

    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A regular file of a listing. ``folder`` is its path below the listed root, empty at the top."""

    path: str
    folder: str
    name: str
    stat: FileStat
    unusable: str | None = None
    """Why its name cannot be used; such a file is listed only to be recorded as failed."""

    @property
    def below_root(self) -> str:
        """Path below the listed root, which is what globs see."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


class Source(Protocol):
    """Files on some server. Every method raises ``Failed`` and nothing else on purpose."""

    def session(self) -> AbstractAsyncContextManager[None]:
        """Connect, or raise; on leaving, close all connections."""
        ...

    def listing(self) -> AsyncIterator[RemoteFile]:
        """All regular files below the selected paths, in no promised order; symbolic links are not followed."""
        ...

    def read(self, file: RemoteFile) -> AsyncGenerator[bytes]:
        """The bytes of a file, in order. May end early: the caller compares the count with the stat."""
        ...

    async def stat(self, file: RemoteFile) -> FileStat:
        """What the server says of the file now."""
        ...


class SourceFactory(Protocol):
    """What an entry point of the group names."""

    def __call__(self, run: Run, secrets: Secrets) -> Source: ...


def source_of(run: Run, secrets: Secrets) -> Source:
    """The source that the run document names."""
    if run.source is None:
        raise Failed(Category.CONFIG, "the run has no source: its provider is of type container")
    kind = next(iter(run.source.model_fields_set), "sftp")
    for point in entry_points(group=GROUP, name=kind):
        factory: SourceFactory = point.load()
        return factory(run, secrets)
    raise Failed(Category.CONFIG, f"no source of type {kind} is installed")
