"""How an attempt ends, from what became of its files. Pure."""

from __future__ import annotations

from collections import Counter

from octo_core.domain.failure import EXIT_CODES, Category, leading_category
from octo_core.domain.job import OnFileError
from octo_core.domain.report import TERMINATION_MESSAGE_LIMIT, Outcome
from octo_core.domain.status import Progress
from octo_worker.failure import Failed

NOT_THE_FILES_FAULT = frozenset({Category.INFRA, Category.REMOTE_UNAVAILABLE, Category.SINK_UNAVAILABLE})
"""A file that failed so is not skipped: nothing is known against it, and the next attempt may store it."""


def exit_code(outcome: Outcome) -> int:
    """What the process exits with."""
    return EXIT_CODES[outcome.category] if outcome.category else 0


def concluded(
    failures: Counter[Category],
    first_message: str,
    on_file_error: OnFileError,
    progress: Progress,
    *,
    rows: int,
) -> Outcome:
    """The outcome of an attempt that went through all its files and has so many rows to show."""
    if failures:
        failed = sum(failures.values())
        message = f"{failed} of {progress.files_selected} files failed; the first: {first_message}"[:1024]
        must_fail = on_file_error is OnFileError.FAIL_JOB or any(c in NOT_THE_FILES_FAULT for c in failures)
        return Outcome(
            category=leading_category(failures) if must_fail else None,
            reason="FilesFailed" if must_fail else "CompletedWithSkips",
            message=message,
            progress=progress,
        )
    if not progress.files_selected and not rows:
        return Outcome(
            reason="NoNewFiles",
            message="every listed file is stored or left out",
            progress=progress,
        )
    return Outcome(reason="Completed", progress=progress)


def failed(error: Failed, progress: Progress) -> Outcome:
    """The outcome of an attempt that could not go on."""
    return Outcome(
        category=error.category,
        reason=error.category.value,
        message=error.detail[:1024],
        progress=progress,
    )


def termination_message(outcome: Outcome) -> bytes:
    """The outcome as JSON, in what the kubelet keeps; the message is cut to make it fit."""
    shown = outcome
    while len(text := shown.model_dump_json(by_alias=True, exclude_none=True).encode()) > TERMINATION_MESSAGE_LIMIT:
        shown = shown.model_copy(update={"message": shown.message[: len(shown.message) // 2]})
        if not shown.message:
            return (
                shown.model_copy(update={"manifest": None}).model_dump_json(by_alias=True, exclude_none=True).encode()
            )
    return text
