"""Lines of a stream, wherever its chunks end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from octo_core.kube.lines import lines


async def stream(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([], []),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"a\nb", b"b", b"b\n"], [b"aa", b"bbb"]),
        ([b"a\n", b"\n", b"\nb\n"], [b"a", b"b"]),
        ([b"a\nbroken"], [b"a"]),
        ([b"x" * 100_000, b"x" * 100_000 + b"\n"], [b"x" * 200_000]),
    ],
)
async def test_a_stream_is_cut_into_its_lines(chunks: list[bytes], found: list[bytes]) -> None:
    assert [line async for line in lines(stream(chunks))] == found


async def test_cut_anywhere_the_lines_are_the_same() -> None:
    text = b"one\n\ntwo\nthree\n"
    for cut in range(len(text) + 1):
        assert [line async for line in lines(stream([text[:cut], text[cut:]]))] == [b"one", b"two", b"three"]
