"""What a source of files must offer, and how one is found.

A source type is an entry point of the group ``octo.sources``: a callable that takes the run and its
secrets and returns a ``Source``. The built-in one is ``sftp``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from typing import Protocol

from octo_core.domain.failure import Category
from octo_core.domain.provider import Disposition
from octo_core.domain.run import Run
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.sources.tries import Tries

GROUP = "octo.sources"


@dataclass(frozen=True, slots=True)
class FileStat:
    """What tells whether a file changed while it was read."""

    size: int
    mtime: int
    """Whole seconds since 1970, which is all that SFTP tells."""

    @property
    def modified_at(self) -> datetime:
        """The time of the last change."""
        return datetime.fromtimestamp(self.mtime, tz=UTC)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A regular file of a listing. There may be very many, so one holds nothing that another field tells."""

    path: str
    folder: str
    """Its folder's path below the listed root, empty at the top."""
    size: int
    mtime: int
    unusable: str | None = None
    """Why its name cannot be used; such a file is listed only to be recorded as failed."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def below_root(self) -> str:
        """Path below the listed root, which is what globs see."""
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def stat(self) -> FileStat:
        """As it was listed."""
        return FileStat(self.size, self.mtime)

    @property
    def modified_at(self) -> datetime:
        """The time of the last change, as it was listed."""
        return self.stat.modified_at


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path of which nothing can be taken: a folder that cannot be listed, or a file asked for that is not there.
    It is listed only to be recorded as failed; the run goes on."""

    path: str
    below_root: str
    """What globs see: an excluded folder need not be readable."""
    category: Category
    message: str


class Source(Protocol):
    """Files on some server. Every method raises ``Failed`` and nothing else on purpose.

    A method that takes ``tries`` connects again when the connection breaks, as often as they allow. Whoever
    counts the tries of a file hands in the same object each time; without one, each call has its own.
    """

    def session(self) -> AbstractAsyncContextManager[None]:
        """Connect, or raise; on leaving, close all connections."""
        ...

    def listing(self) -> AsyncIterator[RemoteFile | Unreadable]:
        """All regular files below the selected paths, in no promised order; symbolic links are not followed.

        With policy Explicit, the files that the run names, and no others. A file may come twice: where listed
        paths lie within each other, and where a connection broke while its folder was listed.
        """
        ...

    def read(self, file: RemoteFile, tries: Tries | None = None) -> AsyncGenerator[bytes]:
        """The bytes of a file, in order. After a broken connection it goes on where it was, if the file is still
        the same. May end early: the caller compares the count with the stat."""
        ...

    async def stat(self, file: RemoteFile, tries: Tries | None = None) -> FileStat:
        """What the server says of the file now; size -1 if it is no regular file any more."""
        ...

    async def find(self, path: str, tries: Tries | None = None) -> RemoteFile | None:
        """The regular file at a path that need not be listed, such as a detached signature; None if there is none."""
        ...

    async def dispose(self, file: RemoteFile, disposition: Disposition, tries: Tries | None = None) -> bool:
        """Move or delete the file, if it is still as listed. False if it is not, and was left alone."""
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
