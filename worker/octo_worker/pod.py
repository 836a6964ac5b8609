"""A run's pod: reads the run document, runs it, leaves the outcome, exits by its category."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from pydantic import ValidationError

from octo_core.domain.failure import Category
from octo_core.domain.job import JobMode
from octo_core.domain.report import Outcome
from octo_core.domain.run import Run
from octo_core.domain.status import Progress
from octo_core.telemetry import configure_logging, log_context
from octo_worker import outcome
from octo_worker.failure import Failed
from octo_worker.hardening import forbid_dumps
from octo_worker.run import Attempt
from octo_worker.settings import WorkerSettings
from octo_worker.stopping import stoppable
from octo_worker.tuning import tune

if TYPE_CHECKING:
    from octo_worker.verification import Verification

log = logging.getLogger("octo_worker")


def main() -> NoReturn:
    """Run the process."""
    forbid_dumps()
    tune()
    settings = WorkerSettings()
    configure_logging(settings.log_level, service="octo-worker")
    try:
        run = _run_document(settings)
    except Failed as error:
        log.error(error.detail)
        _leave(outcome.failed(error, Progress()), settings)
    with log_context(job=run.job.name, job_uid=run.job.uid, attempt=str(run.job.attempt)):
        ended = asyncio.run(stoppable(_attempt(run, settings).run()))
        _leave(ended, settings)


def _attempt(run: Run, settings: WorkerSettings) -> Attempt | Verification:
    if run.mode is not JobMode.VERIFY:
        return Attempt(run, settings, _now)
    from octo_worker.verification import Verification

    return Verification(run, settings, _now)


def _now() -> datetime:
    return datetime.now(UTC)


def _run_document(settings: WorkerSettings) -> Run:
    try:
        # A controller of a newer version may say more than this worker knows.
        return Run.model_validate_json(settings.run_file.read_bytes(), extra="ignore")
    except OSError as error:
        raise Failed(
            Category.CONFIG,
            f"no run document at {settings.run_file}: {error.strerror}; without a pod, see octo-worker --help",
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Failed(Category.CONFIG, f"the run document is not valid: {where}: {first['msg']}") from None


def _leave(ended: Outcome, settings: WorkerSettings) -> NoReturn:
    code = outcome.exit_code(ended)
    log.info(
        "run ended",
        extra={"reason": ended.reason, "category": ended.category, "why": ended.message, "exit_code": code},
    )
    try:
        settings.termination_log.write_bytes(outcome.termination_message(ended))
    except OSError as error:
        log.warning("the outcome could not be written", extra={"why": error.strerror})
    logging.shutdown()
    # Not sys.exit: a thread of the object store's client that calls into Python while the interpreter is torn
    # down aborts the process now and then (SIGABRT), and the exit code would be lost.
    os._exit(code)
