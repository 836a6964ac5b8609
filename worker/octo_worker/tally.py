"""What has become of a run so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from octo_core.domain.failure import Category
from octo_core.domain.report import FileOutcome, FileResult
from octo_core.domain.status import Progress
from octo_worker.failure import Failed
from octo_worker.manifest import Rows
from octo_worker.sources import RemoteFile, Unreadable


class Tally:
    """Counts of a run, and its rows. Used on the event loop only."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.rows = Rows()
        self.failures: Counter[Category] = Counter()
        self.first_message = ""
        self.listed = self.selected = self.skipped = self.done = self.retries = self.downloaded = self.uploaded = 0

    def progress(self) -> Progress:
        """The counts as they are reported; without a time, so that equal ones compare equal."""
        return Progress(
            files_listed=self.listed,
            files_selected=self.selected,
            files_skipped=self.skipped,
            files_done=self.done,
            files_failed=sum(self.failures.values()),
            file_retries=self.retries,
            bytes_downloaded=self.downloaded,
            bytes_uploaded=self.uploaded,
            summary=f"{self.done}/{self.selected}",
        )

    def final(self) -> Progress:
        """The counts as of now."""
        return self.progress().model_copy(update={"updated_at": self._now()})

    def add(self, row: FileResult) -> None:
        """Keep a row."""
        self.rows.add(row)
        if row.outcome is FileOutcome.STORED:
            self.uploaded += row.size or 0

    def left_for_later(self) -> None:
        """A file that was selected is not taken after all."""
        self.selected -= 1
        self.skipped += 1

    def failed(self, what: RemoteFile | Unreadable, error: Failed, *, tries: int = 1) -> FileResult:
        """Count what failed and make its row."""
        self.count_failure(what, error)
        size, modified_at = (what.size, what.modified_at) if isinstance(what, RemoteFile) else (0, None)
        return FileResult(
            source_path=what.path,
            outcome=FileOutcome.FAILED,
            source_size=size,
            source_modified_at=modified_at,
            category=error.category,
            message=error.detail[:1024],
            tries=tries,
            finished_at=self._now(),
        )

    def count_failure(self, what: RemoteFile | Unreadable, error: Failed) -> None:
        """Count a failure."""
        self.failures[error.category] += 1
        self.first_message = self.first_message or f"{what.path}: {error.detail}"
