"""Each line of a log once, however often the connection breaks and whatever is read again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_cli.tail import Told, followed

LOG = [
    "2026-01-02T03:04:05.5Z one",
    "2026-01-02T03:04:05.500000001Z one",
    "2026-01-02T03:04:05.5000009Z same microsecond",
    "2026-01-02T03:04:05.5Z one",
    "2026-01-02T03:04:05.51Z ",
    "2026-01-02T03:04:06Z 2026-01-02T03:04:06Z a time of its own",
    "2026-01-02T03:04:06Z last",
]
TEXTS = [line.partition(" ")[2] for line in LOG]


class CutError(Exception):
    """Of the connection."""


class Server:
    """Gives the log so far, from a moment on, and breaks after so many lines each time."""

    def __init__(self, told: Told, cuts: list[int], *, honest: bool = True, notice: bool = False) -> None:
        self.told = told
        self.cuts = iter(cuts)
        self.honest = honest
        self.notice = notice
        self.reads = 0

    def read(self) -> Iterator[str]:
        self.reads += 1
        self.told.begin()
        since = self.told.since if self.honest else None
        lines = [line for line in LOG if since is None or moment(line) >= since]
        if self.notice:
            yield "[octo: the middle of this log was too long to be kept]"
        cut = next(self.cuts, None)
        yield from lines[:cut]
        if cut is not None:
            raise CutError


def moment(line: str) -> str:
    """As a server reads it that knows microseconds."""
    whole, _, part = line.partition("Z")[0].partition(".")
    return f"{whole}.{part[:6].ljust(6, '0')}Z"


def follow(told: Told, server: Server) -> list[str]:
    return list(followed(told, server.read, lambda error: isinstance(error, CutError), sleep=lambda seconds: None))


@given(cuts=st.lists(st.integers(0, len(LOG)), max_size=8), honest=st.booleans())
def test_each_line_once(cuts: list[int], honest: bool) -> None:
    """Also of a server that gives all of it again each time."""
    told = Told(timestamps=False)
    server = Server(told, cuts, honest=honest)
    assert follow(told, server) == TEXTS
    assert server.reads == len(cuts) + 1


def test_with_their_times() -> None:
    told = Told(timestamps=True)
    assert follow(told, Server(told, [3, 1, 2])) == LOG


def test_what_is_said_of_the_whole_log_is_said_once() -> None:
    told = Told(timestamps=False)
    shown = follow(told, Server(told, [2, 2, 2], notice=True))
    assert shown == ["[octo: the middle of this log was too long to be kept]", *TEXTS]


def test_a_server_that_never_answered_is_not_asked_again() -> None:
    def read() -> Iterator[str]:
        raise CutError

    with pytest.raises(CutError):
        list(followed(Told(timestamps=False), read, lambda error: True, sleep=lambda seconds: None))


def test_one_that_answers_no_more_is_given_up_after_minutes() -> None:
    told = Told(timestamps=False)
    server = Server(told, [2])
    clock = itertools.count(0.0, 100.0)

    def read() -> Iterator[str]:
        if server.reads:
            raise CutError
        yield from server.read()

    lines = followed(told, read, lambda error: True, clock=lambda: next(clock), sleep=lambda seconds: None)
    assert [next(lines), next(lines)] == TEXTS[:2]
    with pytest.raises(CutError):
        next(lines)
    assert next(clock) == 500.0


def test_an_error_that_will_not_pass_is_one() -> None:
    told = Told(timestamps=False)
    server = Server(told, [2])
    with pytest.raises(CutError):
        list(followed(told, server.read, lambda error: False, sleep=lambda seconds: None))
