"""A terminal's display: a bar for the whole and one for each file in flight; failures scroll by above.

Imports rich, so it is imported itself only where a terminal shows it. Drawn on the event loop, a few
times a second: there is no thread of its own.
"""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from octo_core.domain.report import FileOutcome, FileResult, Outcome
from octo_worker.cli.counts import Counts
from octo_worker.cli.display import Clock, row_line, selection_line, summary
from octo_worker.cli.output import duration, printable, size
from octo_worker.selection import Plan, SkipReason
from octo_worker.sources import RemoteFile

_NAME = 40
"""Columns for a file's name; of a longer one the end is shown, which tells more."""


class Bars:
    """A ``Display``."""

    seconds = 0.2

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._began = clock()
        self.counts = Counts()
        text = "{task.fields[%s]}"
        self._progress = Progress(
            TextColumn(text % "name", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn(text % "note", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._whole: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def note(self, text: str) -> None:
        """Above the bars."""
        self._print(text, "yellow")

    def skipped(self, file: RemoteFile, reason: SkipReason) -> None:
        """Only what was selected first is worth a line."""
        if self.counts.left_for_later(file, reason):
            self._remove(file)
            self._print(f"skipped  {file.path}: {reason}", "yellow")

    def planned(self, plan: Plan) -> None:
        """The bar for the whole appears."""
        self.counts.planned(plan)
        self._print(selection_line(self.counts))
        if self.counts.selected:
            self._whole = self._progress.add_task("", total=1, name="", note="")

    def began(self, file: RemoteFile) -> None:
        """Its bar appears."""
        self.counts.began(file)
        # A file of no bytes is done when it ends.
        self._tasks[file.path] = self._progress.add_task("", total=max(file.stat.size, 1), name=_short(file), note="")

    def downloaded(self, file: RemoteFile, count: int) -> None:
        """Counted; drawn with the next tick."""
        self.counts.downloaded(file, count)

    def row(self, row: FileResult) -> None:
        """Failures are worth a line."""
        self.counts.row(row)
        if row.outcome is FileOutcome.FAILED:
            self._print(row_line(row), "red")

    def ended(self, file: RemoteFile) -> None:
        """Its bar goes."""
        self.counts.ended(file)
        self._remove(file)

    def tick(self) -> None:
        """Draw."""
        counts, elapsed = self.counts, self._clock() - self._began
        if self._whole is not None:
            credit, eta = counts.credit, counts.eta(elapsed)
            done = counts.done + counts.failed
            rate = f"  {size(credit / elapsed)}/s" if elapsed > 0 and credit else ""
            left = f"  {duration(eta)} left" if eta is not None else ""
            share = (credit, counts.total_bytes) if counts.total_bytes else (done, counts.selected)
            self._progress.update(
                self._whole,
                completed=share[0],
                total=max(share[1], 1),
                name=f"{done}/{counts.selected} files".ljust(_NAME),
                note=f"{size(credit)} of {size(counts.total_bytes)}{rate}{left}",
            )
        for path, task in self._tasks.items():
            if (state := counts.in_flight.get(path)) is not None:
                note = f"{size(state.credit)} of {size(state.size)}"
                if state.read > state.size:
                    note += ", read again"
                self._progress.update(task, completed=state.credit, note=note)
        self._progress.refresh()

    def finished(self, outcome: Outcome) -> None:
        """The bars go, the summary stays."""
        self._progress.stop()
        for line in summary(outcome, self.counts, self._clock() - self._began):
            self._print(line)

    def _remove(self, file: RemoteFile) -> None:
        if (task := self._tasks.pop(file.path, None)) is not None:
            self._progress.remove_task(task)

    def _print(self, text: str, style: str = "") -> None:
        # As Text: what a file's name has in square brackets is no markup.
        self._console.print(Text(printable(text), style=style), soft_wrap=True)


def _short(file: RemoteFile) -> str:
    name = printable(file.below_root)
    return name.ljust(_NAME) if len(name) <= _NAME else f"…{name[1 - _NAME :]}"


def terminal() -> Console | None:
    """The console if standard output is a terminal that can redraw lines."""
    console = Console()
    return console if console.is_terminal and not console.is_dumb_terminal else None
