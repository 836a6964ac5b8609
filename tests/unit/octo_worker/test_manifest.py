"""The rows that a manifest is made of."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.report import FileOutcome, FileResult
from octo_worker.manifest import Rows

AT = datetime(2026, 1, 2, tzinfo=UTC)


def result(path: str) -> FileResult:
    return FileResult(source_path=path, outcome=FileOutcome.STORED, source_size=1, finished_at=AT)


@given(st.lists(st.text(min_size=1, max_size=200), max_size=50))
def test_rows_come_back_as_json_lines_as_often_as_asked(paths: list[str]) -> None:
    rows = Rows()
    for path in paths:
        rows.add(result(path))
    for _ in range(2):
        lines = b"".join(rows.lines()).splitlines()
        assert [FileResult.model_validate_json(line).source_path for line in lines] == paths
    rows.add(result("one more"))
    assert len(b"".join(rows.lines()).splitlines()) == rows.count == len(paths) + 1


def test_a_hundred_thousand_rows_stay_small() -> None:
    rows = Rows()
    for number in range(20_000):
        rows.add(result(f"outbox/2026/daily/positions-{number}.csv.gz.gpg"))
    assert sum(map(len, rows._chunks)) < 20_000 * 60
    assert sum(len(piece) for piece in rows.lines()) > 20_000 * 120
