"""One attempt of a run in mode Verify: every step is tried, nothing is moved, and each result is reported."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import datetime
from secrets import token_hex

from octo_core.domain.failure import Category, leading_category
from octo_core.domain.report import Check, CheckOutcome, Outcome
from octo_core.domain.run import Run
from octo_core.domain.status import Progress
from octo_worker import outcome, probe
from octo_worker.failure import Failed
from octo_worker.probe import StepResult, StepState
from octo_worker.report import Reporter
from octo_worker.settings import WorkerSettings

REASON = "Verified"
_OUTCOMES = {
    StepState.OK: CheckOutcome.PASSED,
    StepState.FAILED: CheckOutcome.FAILED,
    StepState.SKIPPED: CheckOutcome.SKIPPED,
}

log = logging.getLogger(__name__)


class Verification:
    """Tries what a run document says. It raises nothing."""

    def __init__(self, run: Run, settings: WorkerSettings, now: Callable[[], datetime]) -> None:
        self._run = run
        self._settings = settings
        self._now = now
        self._reporter = Reporter(run.report_url, run.job, 0, settings.token_file, Progress)

    async def run(self) -> Outcome:
        """The outcome: a failure if any step failed."""
        self._reporter.start()
        checks: list[Check] = []
        try:
            steps = probe.verify(self._run, self._settings, self._now(), token_hex(8))
            async with aclosing(steps):
                async for step in steps:
                    checks.append(check_of(step, number=len(checks) + 1, now=self._now()))
                    self._tell(checks[-1])
            ended = concluded(checks)
        except Failed as error:
            ended = outcome.failed(error, Progress())
        except asyncio.CancelledError:
            ended = outcome.failed(Failed(Category.CANCELLED, "the verification was told to stop"), Progress())
        with suppress(asyncio.CancelledError):  # all that is left is telling the api
            await self._reporter.finish(self._settings.report_flush_seconds)
        return ended

    def _tell(self, check: Check) -> None:
        log.info(
            "checked",
            extra={"step": check.name, "outcome": check.outcome, "saw": check.message, "category": check.category},
        )
        self._reporter.check(check)


def check_of(step: StepResult, *, number: int, now: datetime) -> Check:
    """A step of the probe as it is reported."""
    return Check(
        number=number,
        name=step.name,
        outcome=_OUTCOMES[step.state],
        message=step.message[:2048],
        category=step.category,
        resolution=step.resolution[:1024],
        finished_at=now,
    )


def concluded(checks: list[Check]) -> Outcome:
    """What all checks come to."""
    failed = [check for check in checks if check.outcome is CheckOutcome.FAILED]
    if not failed:
        return Outcome(reason=REASON, message=f"{len(checks)} steps were tried, and none failed")
    names = ", ".join(check.name for check in failed)
    return Outcome(
        category=leading_category(Counter(check.category or Category.UNKNOWN for check in failed)),
        reason="VerificationFailed",
        message=f"failed: {names}; the first: {failed[0].message}"[:1024],
    )
