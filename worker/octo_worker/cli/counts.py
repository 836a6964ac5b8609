"""How far a run is, for whatever shows it. Without I/O; the time comes in as an argument."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from octo_core.domain.failure import Category
from octo_core.domain.report import FileOutcome, FileResult
from octo_worker.selection import Plan, SkipReason
from octo_worker.sources import RemoteFile


@dataclass(slots=True)
class InFlight:
    """A file that is being worked on."""

    size: int
    read: int = 0
    failed: bool = False

    @property
    def credit(self) -> int:
        """Bytes of its size that are done. An archive may be read twice, a file that broke off again."""
        return min(self.read, self.size)


class Counts:
    """Told what an observer is told."""

    def __init__(self) -> None:
        self.listed = self.selected = self.done = self.failed = self.objects = 0
        self.total_bytes = self.uploaded = 0
        self.skipped: Counter[SkipReason] = Counter()
        self.failures: Counter[Category] = Counter()
        self.in_flight: dict[str, InFlight] = {}
        self._finished_bytes = 0

    @property
    def credit(self) -> int:
        """Bytes of the selected files that are done with, well or not: what a bar shows."""
        return self._finished_bytes + sum(file.credit for file in self.in_flight.values())

    def eta(self, elapsed: float) -> float | None:
        """Seconds that the rest will take at the rate so far; None while nothing can be said."""
        credit = self.credit
        if not credit or elapsed <= 0:
            return None
        return (self.total_bytes - credit) / (credit / elapsed)

    def planned(self, plan: Plan) -> None:
        """The listing is over."""
        self.listed, self.skipped = plan.listed, Counter(plan.skipped)
        self.selected = len(plan.pending) + len(plan.refused)
        self.total_bytes = sum(target.file.stat.size for target in plan.pending)

    def began(self, file: RemoteFile) -> None:
        """Work on a file begins."""
        self.in_flight[file.path] = InFlight(file.stat.size)

    def downloaded(self, file: RemoteFile, count: int) -> None:
        """More bytes of it have been read."""
        if (state := self.in_flight.get(file.path)) is not None:
            state.read += count

    def left_for_later(self, file: RemoteFile, reason: SkipReason) -> bool:
        """A file that was in flight is skipped after all. False if it never was: it is part of the plan then."""
        state = self.in_flight.pop(file.path, None)
        if state is None:
            return False
        self.selected -= 1
        self.total_bytes -= state.size
        self.skipped[reason] += 1
        return True

    def row(self, row: FileResult) -> None:
        """An object is stored, or a file failed."""
        if row.outcome is FileOutcome.FAILED:
            self.failed += 1
            self.failures[row.category or Category.UNKNOWN] += 1
            if (state := self.in_flight.get(row.source_path)) is not None:
                state.failed = True
        elif row.outcome is FileOutcome.STORED:
            self.objects += 1
            self.uploaded += row.size or 0

    def ended(self, file: RemoteFile) -> None:
        """Work on a file is over."""
        state = self.in_flight.pop(file.path, None)
        if state is None:
            return
        self._finished_bytes += state.size
        if not state.failed:
            self.done += 1
