"""gzip streams, whole and not."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed
from octo_worker.limits import ExpansionMeter
from octo_worker.stages.inflate import STEP, inflate


async def read(data: bytes, step: int = 1000) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), step):
            yield data[start : start + step]

    meter = ExpansionMeter(len(data), Unpack())
    out = [chunk async for chunk in inflate(chunks(), meter)]
    assert all(len(chunk) <= STEP for chunk in out)
    assert meter.total == sum(map(len, out))
    return b"".join(out)


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 4000), st.integers(0, 20))
async def test_members_in_a_row(parts: list[bytes], step: int, padding: int) -> None:
    data = b"".join(gzip.compress(part) for part in parts) + bytes(padding)
    assert await read(data, step) == b"".join(parts)


@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, 5 * STEP])
async def test_sizes_around_a_step(size: int) -> None:
    assert await read(gzip.compress(bytes(size)), 1 << 20) == bytes(size)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        gzip.compress(b"x" * 5000)[:-1],
        gzip.compress(b"x" * 5000)[:15],
        gzip.compress(b"x") + b"trailing",
        gzip.compress(b"x" * 5000)[:-8] + b"\0" * 4 + (5000).to_bytes(4, "little"),
    ],
)
async def test_what_is_not_a_whole_stream_is_refused(data: bytes) -> None:
    with pytest.raises(Failed, match="gzip") as caught:
        await read(data)
    assert caught.value.category is Category.INTEGRITY
