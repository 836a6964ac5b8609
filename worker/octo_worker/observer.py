"""Whom an attempt tells how it goes, besides the api: a progress display, or nobody."""

from __future__ import annotations

from typing import Protocol

from octo_core.domain.report import FileResult
from octo_worker.selection import Plan, SkipReason
from octo_worker.sources import RemoteFile


class Observer(Protocol):
    """Told on the event loop; each call must return at once."""

    def skipped(self, file: RemoteFile, reason: SkipReason) -> None:
        """A listed file is left out of the run."""
        ...

    def planned(self, plan: Plan) -> None:
        """The listing is over; ``plan.pending`` and ``plan.refused`` are what the run takes on."""
        ...

    def began(self, file: RemoteFile) -> None:
        """Work on a file begins."""
        ...

    def downloaded(self, file: RemoteFile, count: int) -> None:
        """So many more bytes of it have been read. An archive may be read twice."""
        ...

    def row(self, row: FileResult) -> None:
        """An object is stored, or a file failed."""
        ...

    def ended(self, file: RemoteFile) -> None:
        """Work on a file is over, well or not."""
        ...


class Silent:
    """Nobody."""

    def skipped(self, file: RemoteFile, reason: SkipReason) -> None: ...
    def planned(self, plan: Plan) -> None: ...
    def began(self, file: RemoteFile) -> None: ...
    def downloaded(self, file: RemoteFile, count: int) -> None: ...
    def row(self, row: FileResult) -> None: ...
    def ended(self, file: RemoteFile) -> None: ...
