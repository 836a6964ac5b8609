"""Shows what a run would do: ``plan``, and ``run --dry-run``."""

from __future__ import annotations

from octo_core.domain.failure import RESOLUTIONS
from octo_core.domain.model import rfc3339
from octo_core.domain.report import FileResult, Outcome
from octo_worker.cli.display import Lines, reason_text
from octo_worker.cli.output import counted, size, table
from octo_worker.outcome import exit_code
from octo_worker.selection import Plan, SkipReason
from octo_worker.sources import RemoteFile


class PlanTable(Lines):
    """Three tables at the end: what would be fetched, what would fail, what is left out."""

    def __init__(self, *args: object, **named: object) -> None:
        super().__init__(*args, **named)  # type: ignore[arg-type]
        self._plan = Plan()
        self._left_out: list[tuple[str, str]] = []

    def skipped(self, file: RemoteFile, reason: SkipReason) -> None:
        """Kept for the table."""
        self._left_out.append((file.path, reason_text(reason)))

    def planned(self, plan: Plan) -> None:
        """Kept for the table."""
        self.counts.planned(plan)
        self._plan = plan

    def tick(self) -> None:
        """Nothing: a listing has no end that is known before."""

    def row(self, row: FileResult) -> None:
        """Nothing: refused files are in the plan."""

    def finished(self, outcome: Outcome) -> None:
        """The tables, or why there are none."""
        if outcome.category is not None:
            self._out.lines([f"{outcome.reason}: {outcome.message}", f"  {RESOLUTIONS[outcome.category]}"])
            return
        plan, total = self._plan, size(self.counts.total_bytes)
        self._out.line(f"{counted(plan.listed, 'file')} listed; would be fetched: {len(plan.pending)} ({total})")
        if plan.pending:
            rows = [
                (t.file.path, size(t.file.stat.size), rfc3339(t.file.stat.modified_at), t.key) for t in plan.pending
            ]
            self._out.lines(["", *table(("PATH", "SIZE", "MODIFIED", "KEY"), rows)])
        if plan.refused:
            self._out.lines(["", f"Would fail: {len(plan.refused)}"])
            self._out.lines(table(("PATH", "WHY"), [(refusal.what.path, refusal.why) for refusal in plan.refused]))
        if self._left_out:
            self._out.lines(["", f"Left out: {len(self._left_out)}"])
            self._out.lines(table(("PATH", "WHY"), self._left_out))


class PlanJson(PlanTable):
    """The same as one JSON object per line, each as soon as it is known."""

    def skipped(self, file: RemoteFile, reason: SkipReason) -> None:
        """``skip``."""
        self._out.event("skip", {"sourcePath": file.path, "reason": reason_text(reason)})

    def finished(self, outcome: Outcome) -> None:
        """``fetch`` and ``refuse`` for each file, then ``outcome``."""
        for target in self._plan.pending if outcome.category is None else ():
            file = target.file
            modified = rfc3339(file.stat.modified_at)
            self._out.event(
                "fetch",
                {"sourcePath": file.path, "size": file.stat.size, "modifiedAt": modified, "key": target.key},
            )
        for refusal in self._plan.refused:
            fields = {"sourcePath": refusal.what.path, "category": refusal.category.value, "message": refusal.why}
            self._out.event("refuse", fields)
        fields = outcome.model_dump(mode="json", by_alias=True, exclude_none=True)
        if outcome.category is not None:
            fields["resolution"] = RESOLUTIONS[outcome.category]
        self._out.event("outcome", {**fields, "exitCode": exit_code(outcome)})
