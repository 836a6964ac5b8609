"""Each reason, what the documentation says of it, and what a person is told to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from octo_core.domain.causes import CAUSES, PENDING_DEADLINE, resolution_of
from octo_core.domain.failure import RESOLUTIONS, Category

OPERATIONS = Path(__file__).parents[4] / "docs" / "operations.md"


def test_the_documentation_has_the_same_table() -> None:
    rows = [
        f"| `{cause.reason}` | {cause.category.value} | {cause.meaning} | {cause.resolution} |"
        for cause in CAUSES.values()
    ]
    table = "\n".join(["| Reason | Category | It means | Do |", "| --- | --- | --- | --- |", *rows]) + "\n"
    assert table in OPERATIONS.read_text(), f"docs/operations.md should have:\n{table}"


def test_reasons_are_words_as_kubernetes_wants_them() -> None:
    assert all(reason.isalnum() and reason[0].isupper() for reason in CAUSES)


@pytest.mark.parametrize("category", list(Category))
def test_a_reason_that_is_not_known_stands_for_its_category(category: Category) -> None:
    assert resolution_of(category, category.value) == RESOLUTIONS[category]


def test_a_pending_deadline_is_told_by_what_was_waited_for() -> None:
    said = 'SecretMissing: MountVolume.SetUp failed for volume "octo-sftp" : secret "bank-sftp" not found'
    assert resolution_of(Category.CONFIG, PENDING_DEADLINE, said) == CAUSES["SecretMissing"].resolution
    assert resolution_of(Category.INFRA, PENDING_DEADLINE, "") == RESOLUTIONS[Category.INFRA]
