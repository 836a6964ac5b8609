"""Lines of logs: read, bounded, and made harmless."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octo_api.jobs.logs.lines import HEAD_BYTES, MAX_LINE, TAIL_BYTES, Line, Said, bounded, join, parse, shown

STAMP = "2026-01-02T03:04:05.123456789Z"


def test_a_log_is_read_line_by_line() -> None:
    log = f"{STAMP} one\n{STAMP} \n{STAMP} {STAMP} two\ncut off\n"
    assert parse(log) == [Line(STAMP, "one"), Line(STAMP, ""), Line(STAMP, f"{STAMP} two")]
    assert parse(log)[0].at == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert parse("2026-01-02T03:04:05+01:00 x")[0].at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20), max_size=20))
def test_what_is_kept_is_read_as_it_was(texts: list[str]) -> None:
    lines = [Line(STAMP, text) for text in texts]
    assert parse(join(lines)) == lines


@settings(max_examples=200)
@given(st.text(max_size=50))
def test_a_line_stays_one_line_and_moves_no_cursor(text: str) -> None:
    out = shown(Line(STAMP, text), timestamps=False)
    assert out.endswith("\n")
    assert len(out.splitlines()) <= 1 or out == "\n"
    assert not any(ord(letter) < 32 and letter not in "\t\n" for letter in out)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("done\r2026 INFO forged", "done\\x0d2026 INFO forged"),
        ("windows\r", "windows"),
        ("\u202eevil\u2028", "\\u202eevil\\u2028"),
        ("tab\tstays, ümlaut too", "tab\tstays, ümlaut too"),
        ("x" * (MAX_LINE + 1), "x" * MAX_LINE + " [octo: line cut]"),
    ],
)
def test_what_could_deceive_is_escaped(text: str, safe: str) -> None:
    assert shown(Line(STAMP, text), timestamps=False) == f"{safe}\n"
    assert shown(Line(STAMP, text), timestamps=True) == f"{STAMP} {safe}\n"


def test_a_long_log_keeps_its_beginning_and_its_end() -> None:
    lines = [Line(STAMP, f"{number:07}" + "x" * 1000) for number in range(3000)]
    head, tail = bounded(lines, lines[1000:])
    assert (head[0], tail[-1]) == (lines[0], lines[-1])
    assert HEAD_BYTES - 1100 < len(join(head)) <= HEAD_BYTES
    assert TAIL_BYTES - 1100 < len(join(tail)) <= TAIL_BYTES
    short = lines[:5]
    assert bounded(short, short) == (short, [])


def at(second: int, text: str) -> Line:
    return Line(f"2026-01-02T03:04:{second:02}.5Z", text)


def test_no_line_is_said_twice_however_long_the_log() -> None:
    said = Said()
    log = [at(n // 2000, str(n)) for n in range(60_000)]
    assert said.new(log[:100]) == log[:100]
    assert said.new(log[50:]) == log[100:]
    # The whole of it once more, as from the archive.
    assert said.new(log) == []
    late = [at(29, "late"), at(28, "of the other output")]
    assert said.new(log[-10:] + late) == late
    assert said.new(late) == []


def test_lines_alike_are_all_said() -> None:
    said, twice = Said(), [at(1, "same"), at(1, "same")]
    assert said.new(twice) == twice
