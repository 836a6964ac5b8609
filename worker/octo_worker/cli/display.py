"""Shows how a run goes: plain lines, JSON lines, or (``bars``) a terminal's bars."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

from octo_core.domain.failure import RESOLUTIONS, Category
from octo_core.domain.report import FileOutcome, FileResult, Outcome
from octo_worker.cli.counts import Counts
from octo_worker.cli.output import Output, counted, duration, size
from octo_worker.observer import Observer
from octo_worker.outcome import exit_code
from octo_worker.selection import Plan, SkipReason
from octo_worker.sources import RemoteFile

Clock = Callable[[], float]


class Display(Observer, Protocol):
    """An observer that shows what it is told."""

    seconds: float
    """How often it wants to be asked for a ``tick``."""

    def tick(self) -> None:
        """Show how far the run is."""
        ...

    def note(self, text: str) -> None:
        """Show something that a person should know."""
        ...

    def finished(self, outcome: Outcome) -> None:
        """The run is over. Nothing is shown after this."""
        ...


class Lines:
    """A line for each file, and now and then one for the whole."""

    def __init__(self, out: Output, clock: Clock, seconds: float) -> None:
        self._out = out
        self._clock = clock
        self._began = clock()
        self.seconds = seconds
        self.counts = Counts()

    def note(self, text: str) -> None:
        """On standard error, as it is no part of the result."""
        Output(sys.stderr).line(text)

    def skipped(self, file: RemoteFile, reason: SkipReason) -> None:
        """Only what was selected first is worth a line; ``plan`` tells the others."""
        if self.counts.left_for_later(file, reason):
            self._out.line(f"skipped  {file.path}: {reason}")

    def planned(self, plan: Plan) -> None:
        """Say what the run takes on."""
        self.counts.planned(plan)
        self._out.line(selection_line(self.counts))

    def began(self, file: RemoteFile) -> None:
        """Count."""
        self.counts.began(file)

    def downloaded(self, file: RemoteFile, count: int) -> None:
        """Count."""
        self.counts.downloaded(file, count)

    def row(self, row: FileResult) -> None:
        """One line."""
        self.counts.row(row)
        self._out.line(row_line(row))

    def ended(self, file: RemoteFile) -> None:
        """Count."""
        self.counts.ended(file)

    def tick(self) -> None:
        """One line, once there is something to move."""
        if self.counts.selected:
            self._out.line(progress_line(self.counts, self._clock() - self._began))

    def finished(self, outcome: Outcome) -> None:
        """The summary."""
        self._out.lines(summary(outcome, self.counts, self._clock() - self._began))


class JsonLines(Lines):
    """The same as one JSON object per line."""

    def planned(self, plan: Plan) -> None:
        """``planned``."""
        self.counts.planned(plan)
        self._out.event(
            "planned",
            {
                "listed": self.counts.listed,
                "selected": self.counts.selected,
                "refused": len(plan.refused),
                "bytes": self.counts.total_bytes,
                "skipped": {reason_text(reason): count for reason, count in self.counts.skipped.items()},
            },
        )

    def skipped(self, file: RemoteFile, reason: SkipReason) -> None:
        """``skipped``."""
        if self.counts.left_for_later(file, reason):
            self._out.event("skipped", {"sourcePath": file.path, "reason": reason_text(reason)})

    def row(self, row: FileResult) -> None:
        """``stored``, ``alreadyStored`` or ``failed``."""
        self.counts.row(row)
        name = row.outcome.value[0].lower() + row.outcome.value[1:]
        fields: dict[str, Any] = row.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"outcome"})
        if row.category is not None:
            fields["resolution"] = RESOLUTIONS[row.category]
        self._out.event(name, fields)

    def tick(self) -> None:
        """``progress``."""
        counts, elapsed = self.counts, self._clock() - self._began
        eta = counts.eta(elapsed)
        self._out.event(
            "progress",
            {
                "selected": counts.selected,
                "done": counts.done,
                "failed": counts.failed,
                "inFlight": len(counts.in_flight),
                "bytes": counts.total_bytes,
                "bytesDone": counts.credit,
                "seconds": round(elapsed, 3),
                "etaSeconds": None if eta is None else round(eta, 3),
            },
        )

    def finished(self, outcome: Outcome) -> None:
        """``outcome``."""
        fields: dict[str, Any] = outcome.model_dump(mode="json", by_alias=True, exclude_none=True)
        if outcome.category is not None:
            fields["resolution"] = RESOLUTIONS[outcome.category]
        seconds = round(self._clock() - self._began, 3)
        self._out.event("outcome", {**fields, "exitCode": exit_code(outcome), "seconds": seconds})


# ---- texts, shared with the terminal's display ------------------------------------------------------


def reason_text(reason: SkipReason) -> str:
    """A reason as a phrase that stands alone."""
    return reason.removeprefix("is ")


def selection_line(counts: Counts) -> str:
    """What a run takes on, and how much it leaves out."""
    left_out = ", ".join(f"{count} {reason_text(reason)}" for reason, count in counts.skipped.most_common())
    left = f"; left out: {left_out}" if left_out else ""
    return f"{counted(counts.listed, 'file')} listed, {counts.selected} selected ({size(counts.total_bytes)}){left}"


def row_line(row: FileResult) -> str:
    """One object stored, or one file that failed."""
    name = f"{row.source_path}!{row.member}" if row.member else row.source_path
    if row.outcome is FileOutcome.FAILED:
        return f"FAILED   {name}: {row.category}: {row.message}"
    word = "stored" if row.outcome is FileOutcome.STORED else "was there"
    return f"{word:8} {name} -> {row.key} ({size(row.size or 0)})"


def progress_line(counts: Counts, elapsed: float) -> str:
    """The whole run in a line."""
    credit, eta = counts.credit, counts.eta(elapsed)
    failed = f", {counts.failed} failed" if counts.failed else ""
    rate = f", {size(credit / elapsed)}/s" if elapsed > 0 and credit else ""
    left = f", {duration(eta)} left" if eta is not None else ""
    done = counts.done + counts.failed
    return f"{done}/{counts.selected} files{failed}, {size(credit)} of {size(counts.total_bytes)}{rate}{left}"


def summary(outcome: Outcome, counts: Counts, elapsed: float) -> list[str]:
    """How it ended: counts, bytes, time, rate, manifest, and what to do about each kind of failure."""
    progress = outcome.progress
    rate = f" ({size(progress.bytes_downloaded / elapsed)}/s)" if elapsed > 0 and progress.bytes_downloaded else ""
    lines = [
        "",
        f"{outcome.reason}{f': {outcome.message}' if outcome.message else ''}",
        f"  files     {progress.files_done} of {progress.files_selected} done, {progress.files_failed} failed, "
        f"{progress.files_skipped} left out of {progress.files_listed}; {counted(counts.objects, 'object')} stored",
        f"  bytes     {size(progress.bytes_downloaded)} read, {size(progress.bytes_uploaded)} stored "
        f"in {duration(elapsed)}{rate}",
    ]
    if progress.file_retries:
        lines.append(f"  retries   {progress.file_retries}")
    if outcome.manifest is not None:
        lines.append(f"  manifest  {outcome.manifest.uri}")
    categories: dict[Category, int] = dict(counts.failures.most_common())
    if outcome.category is not None:
        categories.setdefault(outcome.category, 0)
    for category, count in categories.items():
        of = f" ({counted(count, 'file')})" if count else ""
        lines.append(f"  {category}{of}: {RESOLUTIONS[category]}")
    return lines
