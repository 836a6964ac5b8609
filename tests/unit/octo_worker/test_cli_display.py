"""What a run's display shows for what its observer is told."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from octo_core.domain.failure import RESOLUTIONS, Category
from octo_core.domain.provider import OpenPgpMode, UnpackMode
from octo_core.domain.report import FileOutcome, FileResult, Outcome
from octo_core.domain.status import ManifestRef, Progress
from octo_worker.cli.bars import Bars
from octo_worker.cli.counts import Counts
from octo_worker.cli.display import Display, JsonLines, Lines, progress_line
from octo_worker.cli.output import Output, duration, printable, size, table
from octo_worker.cli.planning import PlanJson, PlanTable
from octo_worker.layout import opening
from octo_worker.selection import Plan, Refusal, SkipReason, Target
from octo_worker.sources import RemoteFile

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def file(name: str, length: int = 1000) -> RemoteFile:
    return RemoteFile(f"out/{name}", "", length, int(AT.timestamp()))


def target(name: str, length: int = 1000) -> Target:
    return Target(file(name, length), opening(name, OpenPgpMode.AUTO, UnpackMode.AUTO), f"bank/data/csv/{name}")


def row(name: str, **fields: Any) -> FileResult:
    given = {"source_path": f"out/{name}", "outcome": FileOutcome.STORED, "source_size": 1000, "finished_at": AT}
    return FileResult(**(given | {"key": f"bank/data/csv/{name}", "size": 3000} | fields))


FAILED = {"outcome": FileOutcome.FAILED, "key": None, "size": None}
A, B = file("a.csv"), file("b[1].csv", 3000)
PLAN = Plan(
    pending=[target("a.csv"), target("b[1].csv", 3000)],
    refused=[Refusal(file("bell\\x07"), Category.CONFIG, "the name has a control character")],
    listed=5,
)
PLAN.skipped[SkipReason.ALREADY_STORED] = 2
OUTCOME = Outcome(
    category=Category.INTEGRITY,
    reason="FilesFailed",
    message="2 of 3 files failed",
    progress=Progress(
        files_listed=5,
        files_selected=3,
        files_skipped=2,
        files_done=1,
        files_failed=2,
        file_retries=1,
        bytes_downloaded=4000,
        bytes_uploaded=3000,
    ),
    manifest=ManifestRef(uri="s3://landing/bank/manifests/j/1.jsonl", sha256="0" * 64),
)


def play(display: Display, clock: Clock) -> None:
    """A run of two files and one refused one: one is stored, one breaks off in the middle."""
    display.skipped(file("old.csv"), SkipReason.ALREADY_STORED)
    display.skipped(file("older.csv"), SkipReason.ALREADY_STORED)
    display.planned(PLAN)
    display.row(row("bell\\x07", **FAILED, category=Category.CONFIG, message="the name has a control character"))
    display.began(A)
    display.began(B)
    display.downloaded(A, 1000)
    display.downloaded(B, 1000)
    clock.now += 10
    display.tick()
    display.row(row("a.csv"))
    display.ended(A)
    display.downloaded(B, 500)
    display.row(row("b[1].csv", **FAILED, category=Category.INTEGRITY, message="cut short"))
    display.ended(B)
    clock.now += 10
    display.tick()
    display.finished(OUTCOME)


def shown(kind: type[Lines]) -> list[str]:
    stream, clock = io.StringIO(), Clock()
    play(kind(Output(stream), clock, 10), clock)
    return stream.getvalue().splitlines()


def test_plain_lines() -> None:
    lines = shown(Lines)
    assert lines[:6] == [
        "5 files listed, 3 selected (4.0 kB); left out: 2 already stored",
        "FAILED   out/bell\\x07: Config: the name has a control character",
        "1/3 files, 1 failed, 2.0 kB of 4.0 kB, 200 B/s, 0:10 left",
        "stored   out/a.csv -> bank/data/csv/a.csv (3.0 kB)",
        "FAILED   out/b[1].csv: Integrity: cut short",
        "3/3 files, 2 failed, 4.0 kB of 4.0 kB, 200 B/s, 0:00 left",
    ]
    assert lines[6:] == [
        "",
        "FilesFailed: 2 of 3 files failed",
        "  files     1 of 3 done, 2 failed, 2 left out of 5; 1 object stored",
        "  bytes     4.0 kB read, 3.0 kB stored in 0:20 (200 B/s)",
        "  retries   1",
        "  manifest  s3://landing/bank/manifests/j/1.jsonl",
        f"  Config (1 file): {RESOLUTIONS[Category.CONFIG]}",
        f"  Integrity (1 file): {RESOLUTIONS[Category.INTEGRITY]}",
    ]


def test_json_lines() -> None:
    events = [json.loads(line) for line in shown(JsonLines)]
    assert [event["event"] for event in events] == [
        *("planned", "failed", "progress", "stored", "failed", "progress", "outcome")
    ]
    planned, refused, progress, stored, broken, _, outcome = events
    assert planned == {
        "event": "planned",
        "listed": 5,
        "selected": 3,
        "refused": 1,
        "bytes": 4000,
        "skipped": {"already stored": 2},
    }
    assert refused["sourcePath"] == "out/bell\\x07"
    assert progress["bytesDone"] == 2000
    assert progress["etaSeconds"] == 10
    assert (stored["key"], stored["size"]) == ("bank/data/csv/a.csv", 3000)
    assert broken["resolution"] == RESOLUTIONS[Category.INTEGRITY]
    assert (outcome["exitCode"], outcome["seconds"]) == (34, 20)
    assert outcome["progress"]["filesDone"] == 1


def test_a_plan_tells_of_every_file() -> None:
    stream, clock = io.StringIO(), Clock()
    play(PlanTable(Output(stream), clock, 60), clock)
    failed = stream.getvalue()
    assert "FilesFailed: 2 of 3" in failed
    assert "PATH" not in failed

    stream = io.StringIO()
    table_ = PlanTable(Output(stream), clock, 60)
    table_.skipped(file("old.csv"), SkipReason.ALREADY_STORED)
    table_.planned(PLAN)
    table_.finished(Outcome(reason="DryRun"))
    assert stream.getvalue().splitlines() == [
        "5 files listed; would be fetched: 2 (4.0 kB)",
        "",
        "PATH          SIZE    MODIFIED              KEY",
        "out/a.csv     1.0 kB  2026-01-02T03:04:05Z  bank/data/csv/a.csv",
        "out/b[1].csv  3.0 kB  2026-01-02T03:04:05Z  bank/data/csv/b[1].csv",
        "",
        "Would fail: 1",
        "PATH          WHY",
        "out/bell\\x07  the name has a control character",
        "",
        "Left out: 1",
        "PATH         WHY",
        "out/old.csv  already stored",
    ]


def test_a_plan_as_json() -> None:
    stream, clock = io.StringIO(), Clock()
    plan = PlanJson(Output(stream), clock, 60)
    plan.skipped(file("old.csv"), SkipReason.NOT_INCLUDED)
    plan.planned(PLAN)
    plan.finished(Outcome(reason="DryRun"))
    skip, first, _, refuse, outcome = (json.loads(line) for line in stream.getvalue().splitlines())
    assert skip == {"event": "skip", "sourcePath": "out/old.csv", "reason": "not in include"}
    assert first == {
        "event": "fetch",
        "sourcePath": "out/a.csv",
        "size": 1000,
        "modifiedAt": "2026-01-02T03:04:05Z",
        "key": "bank/data/csv/a.csv",
    }
    assert (refuse["event"], refuse["category"]) == ("refuse", "Config")
    assert (outcome["event"], outcome["exitCode"]) == ("outcome", 0)


def test_bars_of_a_terminal() -> None:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None, legacy_windows=False)
    play(Bars(console, clock), clock)
    text = stream.getvalue()
    assert "FAILED   out/b[1].csv: Integrity: cut short" in text
    assert "1/3 files" in text
    assert "2.0 kB of 4.0 kB  200 B/s  0:10 left" in text
    assert "b[1].csv" in text
    assert "manifest  s3://landing" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is back"


def test_a_file_that_changed_is_left_out_after_all() -> None:
    stream, clock = io.StringIO(), Clock()
    display = Lines(Output(stream), clock, 10)
    display.planned(PLAN)
    display.began(A)
    display.skipped(A, SkipReason.CHANGING)
    display.ended(A)
    assert (display.counts.selected, display.counts.done, display.counts.total_bytes) == (2, 0, 3000)
    assert "skipped  out/a.csv: has changed since it was listed" in stream.getvalue()


def test_what_is_read_twice_counts_once() -> None:
    counts = Counts()
    counts.planned(PLAN)
    counts.began(A)
    counts.downloaded(A, 1000)
    counts.downloaded(A, 800)
    assert counts.credit == 1000
    counts.ended(A)
    assert (counts.credit, counts.done) == (1000, 1)


def test_nothing_is_foretold_before_anything_is_known() -> None:
    counts = Counts()
    assert counts.eta(0) is None
    assert progress_line(counts, 0) == "0/0 files, 0 B of 0 B"


def test_a_reader_that_goes_away_disturbs_nobody() -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    out = Output(Gone())
    out.line("one")
    out.line("two")


def test_a_name_cannot_command_the_terminal() -> None:
    assert printable("a\x1b[2J\u202eb\n") == "a\\x1b[2J\\x202eb\n"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (5e15, "5000.0 TB")]
)
def test_sizes_for_people(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (67, "1:07"), (3723, "1:02:03")])
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_table_without_rows_has_its_head() -> None:
    assert table(("A", "BB"), []) == ["A  BB"]


@given(st.text())
@example("statement\u200b\u202e\x1b[2J\x7f\ufeff\U000e0001\udc80é\n.csv")
def test_an_event_is_json_and_printable_whatever_a_file_is_called(name: str) -> None:
    stream = io.StringIO()
    Output(stream).event("skipped", {"sourcePath": name})
    line = stream.getvalue().removesuffix("\n")
    assert line.isprintable()
    line.encode()
    assert json.loads(line) == {"event": "skipped", "sourcePath": name}
