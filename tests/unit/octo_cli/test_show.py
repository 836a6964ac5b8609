"""What is shown: tables, documents, progress, explanations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from octo_cli.kube.documents import job_of, provider_of
from octo_cli.show import columns, explanation, output, progress
from octo_cli.show.text import printable, size
from octo_cli.times import DURATION, MOMENT, short
from octo_client import models

NOW = datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)
RAW: dict[str, Any] = {
    "metadata": {
        "name": "night",
        "namespace": "octo",
        "uid": "0b0e7a3c-0000-4000-8000-000000000001",
        "creationTimestamp": "2026-01-02T03:04:05Z",
    },
    "spec": {"providerRef": {"name": "acme"}},
}
FAILURE = {"category": "Auth", "reason": "LoginRefused", "message": "no such user", "resolution": "Check the Secret."}
FAILED: dict[str, Any] = {
    **RAW,
    "status": {
        "state": "Failed",
        "attempt": 2,
        "startTime": "2026-01-02T03:05:05Z",
        "completionTime": "2026-01-02T03:15:05Z",
        "failure": FAILURE,
        "progress": {
            "summary": "1/3",
            "filesSelected": 3,
            "filesDone": 1,
            "filesFailed": 2,
            "bytesUploaded": 1_200_000,
        },
        "conditions": [
            {
                "type": "Succeeded",
                "status": "False",
                "reason": "AttemptsExhausted",
                "message": "m",
                "lastTransitionTime": "2026-01-02T03:15:05Z",
            }
        ],
        "attempts": [
            {"number": 1, "completionTime": "2026-01-02T03:10:05Z", "category": "Auth", "message": "no such user"},
            {"number": 2, "podName": "night-2-x"},
        ],
    },
}


def test_a_run_that_nobody_has_looked_at_yet() -> None:
    cells = columns.JOBS.cells(job_of(RAW), NOW, wide=True)
    shown = dict(zip(columns.JOBS.heads(wide=True), cells, strict=True))
    assert (shown["NAME"], shown["STATE"], shown["AGE"]) == ("night", "Pending", "60m")
    assert [shown[head] for head in ("REASON", "FILES", "TOOK", "MESSAGE", "QUEUE")] == ["-"] * 5


def test_a_run_that_failed() -> None:
    cells = columns.JOBS.cells(job_of(FAILED), NOW, wide=True)
    shown = dict(zip(columns.JOBS.heads(wide=True), cells, strict=True))
    assert (shown["STATE"], shown["REASON"], shown["FILES"], shown["TOOK"], shown["STORED"]) == (
        "Failed",
        "AttemptsExhausted",
        "1/3",
        "10m",
        "1.2 MB",
    )
    assert shown["MESSAGE"] == "Auth: no such user"
    assert len(columns.JOBS.heads(wide=False)) < len(cells)


NEXT = "2026-01-03T05:30:00Z"


@pytest.mark.parametrize(
    ("schedule", "shown_next"),
    [
        (None, "-"),
        ({"cron": "@daily", "timeZone": "UTC"}, "-"),
        ({"cron": "@daily", "timeZone": "UTC", "nextScheduleTime": NEXT}, NEXT),
    ],
)
def test_a_provider_that_the_controller_has_not_seen(schedule: dict[str, Any] | None, shown_next: str) -> None:
    status = {"schedule": schedule} if schedule else {}
    provider = provider_of({**RAW, "spec": {"container": {"image": "x:1"}}, "status": status})
    shown = dict(
        zip(columns.PROVIDERS.heads(wide=True), columns.PROVIDERS.cells(provider, NOW, wide=True), strict=True)
    )
    assert (shown["TYPE"], shown["READY"], shown["LAST-SUCCESS"], shown["FROM"]) == ("container", "-", "-", "x:1")
    assert shown["NEXT"] == shown_next


def test_a_field_that_only_the_server_has_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(models.Provider):
        some_day: datetime | None

    monkeypatch.setattr(models, "Provider", Later)
    found = provider_of({**RAW, "spec": {"container": {"image": "x"}}})
    assert isinstance(found, Later)
    assert found.some_day is None


@pytest.mark.parametrize("form", ["json", "yaml", "name", "table", "wide"])
def test_the_forms(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job_of(RAW), job_of(FAILED)]
    output.listed(jobs, columns.JOBS, form, now=NOW)
    out = capsys.readouterr().out
    if form in ("json", "yaml"):
        items = yaml.safe_load(out)["items"]
        assert [models.Job.model_validate(item) for item in items] == jobs
    elif form == "name":
        assert out == "night\nnight\n"
    else:
        head, *rows = out.splitlines()
        assert head.split()[:3] == ["NAME", "PROVIDER", "STATE"]
        assert len(rows) == 2
        assert all(line == line.rstrip() for line in (head, *rows))
        at = head.index("STATE")
        assert (rows[0][at:].split()[0], rows[1][at:].split()[0]) == ("Pending", "Failed")


def test_nothing_found_is_said_beside_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    output.listed([], columns.JOBS, "table")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Nothing found.\n")
    output.listed([], columns.JOBS, "json")
    assert yaml.safe_load(capsys.readouterr().out) == {"items": []}


def test_foreign_words_do_nothing_to_a_terminal() -> None:
    assert printable("a\x1b[2Jb\u202ec\nd\te") == "a\\x1b[2Jb\\u202ec\\x0ad\te"
    assert output.grid(["A"], [["x[bold]y[/bold]\x1b[0m"]]) == "A\nx[bold]y[/bold]\\x1b[0m\n"


def test_a_line_of_progress() -> None:
    assert progress.line(job_of(RAW)) == "night: Pending"
    assert progress.line(job_of(FAILED)) == "night: Failed, attempt 2, 1/3 files, 2 failed, 1.2 MB stored"


def test_an_explanation() -> None:
    why = models.Explanation.model_validate(
        {
            "id": "x",
            "state": "Failed",
            "reason": "AttemptsExhausted",
            "summary": "Auth: no such user.",
            "since": "2026-01-02T03:15:05Z",
            "actions": ["Check the Secret."],
            "cluster": "Gone",
            "queue": None,
            "nextAttemptAt": None,
            "failure": FAILURE,
            "conditions": [],
            "pods": [
                {
                    "name": "night-2-x",
                    "attempt": 2,
                    "phase": "Failed",
                    "node": None,
                    "reason": "OOMKilled",
                    "message": None,
                    "exitCode": 137,
                }
            ],
            "events": [
                {
                    "about": "Pod/night-2-x",
                    "type": "Warning",
                    "reason": "BackOff",
                    "message": "again",
                    "count": 3,
                    "lastSeenAt": "2026-01-02T04:03:05Z",
                },
                {"about": "x", "type": "Normal", "reason": "y", "message": "z", "count": 1, "lastSeenAt": None},
            ],
        }
    )
    assert list(explanation.lines(job_of(FAILED), why, NOW)) == [
        "night of acme: Failed (AttemptsExhausted), since 49m",
        "",
        "  Auth: no such user.",
        "",
        "What to do:",
        "  - Check the Secret.",
        "",
        "Attempts:",
        "  1: Auth: no such user",
        "  2: under way on night-2-x",
        "",
        "Pods:",
        "  night-2-x: Failed (OOMKilled)",
        "",
        "Warnings of the cluster:",
        "  Pod/night-2-x: 60s ago, BackOff: again",
        "",
        "Its OctoJob is gone from the cluster; this is from the history.",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("7d", 604_800), ("1w", 604_800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == seconds


def test_times() -> None:
    assert MOMENT.convert("2026-01-31T06:00:00Z", None, None) == datetime(2026, 1, 31, 6, tzinfo=UTC)
    assert MOMENT.convert("2026-01-31", None, None) == datetime(2026, 1, 31, tzinfo=UTC)
    before = datetime.now(UTC)
    found = MOMENT.convert("2h", None, None)
    assert before - timedelta(hours=2) <= found <= datetime.now(UTC) - timedelta(hours=2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (3600, "60m"), (7260, "2h1m"), (200_000, "2d")],
)
def test_spans(seconds: int, text: str) -> None:
    assert short(timedelta(seconds=seconds)) == text


def test_sizes() -> None:
    assert [size(n) for n in (0, 999, 1000, 1_500_000, 2e15)] == ["0 B", "999 B", "1.0 kB", "1.5 MB", "2000.0 TB"]
