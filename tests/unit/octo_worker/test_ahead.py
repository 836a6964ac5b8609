"""Stages that run ahead in a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_worker.stages.ahead import ahead


@given(st.lists(st.binary(max_size=20), max_size=30), st.integers(1, 50))
def test_everything_comes_through_in_order(chunks: list[bytes], limit: int) -> None:
    assert list(ahead((chunk for chunk in chunks), limit)) == chunks


def test_it_is_read_ahead_and_no_further() -> None:
    given_out = threading.Semaphore(0)
    closed: list[str] = []

    def stage() -> Generator[bytes]:
        try:
            while True:
                given_out.release()
                yield bytes(10)
        finally:
            closed.append(threading.current_thread().name)

    reading = ahead(stage(), 30)
    next(reading)
    for _ in range(4):  # one that was taken, and 30 bytes ahead of it
        assert given_out.acquire(timeout=5)
    assert given_out.acquire(timeout=5)  # this one waits for room
    assert not given_out.acquire(timeout=0.05)
    reading.close()
    assert closed == ["ahead"]


def test_an_error_comes_behind_the_chunks() -> None:
    def stage() -> Generator[bytes]:
        yield b"a"
        raise ValueError("late")

    reading = ahead(stage(), 100)
    assert next(reading) == b"a"
    with pytest.raises(ValueError, match="late"):
        next(reading)


def test_an_error_of_closing_is_not_lost() -> None:
    def stage() -> Generator[bytes]:
        try:
            yield b"a"
        finally:
            raise ValueError("at the end")

    with pytest.raises(ValueError, match="at the end"):
        list(ahead(stage(), 100))
