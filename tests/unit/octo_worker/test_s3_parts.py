"""The sizes of parts: few enough for S3, small enough for memory."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from octo_worker.sinks.parts import FIRST, LARGEST, MAX_PARTS, part_size

expected = st.integers(min_value=0, max_value=50 << 40)


@given(expected)
@settings(max_examples=30)
def test_any_object_that_s3_takes_fits(expected_size: int) -> None:
    sizes = [part_size(number, expected_size) for number in range(1, MAX_PARTS + 1)]
    assert sum(sizes) >= 5 << 40
    assert all(5 << 20 <= size <= LARGEST == 5 << 30 for size in sizes)
    assert sizes == sorted(sizes)


@given(st.integers(min_value=0, max_value=29 << 30))
def test_memory_is_flat_for_many_gib(expected_size: int) -> None:
    flat = max(5 << 30, expected_size)
    assert part_size(1, expected_size) == part_size(flat // FIRST, expected_size) == FIRST


@given(expected)
def test_parts_do_not_grow_before_the_object_is_as_large_as_expected(expected_size: int) -> None:
    first = part_size(1, expected_size)
    number = min(-(-expected_size // first), 5000)
    assert part_size(max(number, 1), expected_size) == first


def test_what_it_comes_to() -> None:
    def parts(size: int, expected_size: int) -> tuple[int, int]:
        sent = number = 0
        while sent < size:
            number += 1
            sent += part_size(number, expected_size)
        return number, part_size(number, expected_size) >> 20

    gib = 1 << 30
    assert parts(2 * gib, 0) == (342, 6)
    assert parts(100 * gib, 0) == (3917, 96)
    assert parts(100 * gib, 100 * gib) == (4877, 21)
    assert parts(5 << 40, 0)[0] < MAX_PARTS
