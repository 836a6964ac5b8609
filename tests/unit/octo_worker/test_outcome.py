"""How an attempt ends, and what its process leaves."""

from __future__ import annotations

from collections import Counter

import pytest

from octo_core.domain.failure import EXIT_CODES, Category, category_of_exit_code
from octo_core.domain.job import OnFileError
from octo_core.domain.report import TERMINATION_MESSAGE_LIMIT, Outcome
from octo_core.domain.status import ManifestRef, Progress
from octo_worker import outcome
from octo_worker.failure import Failed

FAIL, SKIP = OnFileError.FAIL_JOB, OnFileError.SKIP_FILE
D, I, R, S = Category.DECRYPT, Category.INTEGRITY, Category.REMOTE_UNAVAILABLE, Category.SINK_UNAVAILABLE  # noqa: E741


@pytest.mark.parametrize(
    ("failures", "selected", "policy", "reason", "category"),
    [
        ({}, 0, FAIL, "NoNewFiles", None),
        ({}, 3, FAIL, "Completed", None),
        ({D: 1}, 3, FAIL, "FilesFailed", D),
        ({D: 1}, 3, SKIP, "CompletedWithSkips", None),
        ({D: 1, I: 2}, 3, FAIL, "FilesFailed", I),
        ({I: 1, D: 1}, 3, FAIL, "FilesFailed", D),
        ({D: 5, R: 1}, 9, FAIL, "FilesFailed", R),
        ({D: 5, R: 1}, 9, SKIP, "FilesFailed", R),
        ({R: 1, S: 1}, 9, FAIL, "FilesFailed", R),
    ],
)
def test_endings(
    failures: dict[Category, int], selected: int, policy: OnFileError, reason: str, category: Category | None
) -> None:
    progress = Progress(files_selected=selected)
    ended = outcome.concluded(Counter(failures), "a.csv: why", policy, progress, rows=selected)
    assert (ended.reason, ended.category) == (reason, category)
    assert outcome.exit_code(ended) == (EXIT_CODES[category] if category else 0)
    assert ("a.csv: why" in ended.message) == bool(failures)


@pytest.mark.parametrize("category", list(Category))
def test_exit_codes_lead_back_to_their_category(category: Category) -> None:
    ended = outcome.failed(Failed(category, "why"), Progress())
    assert category_of_exit_code(outcome.exit_code(ended)) is category


def test_the_termination_message_fits_what_the_kubelet_keeps() -> None:
    ended = Outcome(
        category=D,
        reason="FilesFailed",
        message="ü€\n" * 341,
        manifest=ManifestRef(uri="s3://" + "é" * 1000, sha256="0" * 64),
        progress=Progress(files_listed=10**9, bytes_downloaded=10**15),
    )
    text = outcome.termination_message(ended)
    assert len(text) <= TERMINATION_MESSAGE_LIMIT
    assert Outcome.model_validate_json(text).category is D
    huge = ended.model_copy(update={"manifest": ManifestRef(uri="€" * 1024, sha256="0" * 64), "reason": "€" * 256})
    assert len(outcome.termination_message(huge)) <= TERMINATION_MESSAGE_LIMIT
