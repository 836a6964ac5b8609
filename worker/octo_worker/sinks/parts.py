"""How large the parts of a multipart upload are. Pure.

S3 takes 10,000 parts of 5 MiB to 5 GiB, and a part is held in memory until the server has it. How
large an object gets is not known when its first part goes, as the source is compressed: so parts
start small and double as their number grows, late enough that memory stays flat for many GiB and
early enough that 5 TiB are reached.
"""

from __future__ import annotations

MAX_PARTS = 10_000
FIRST = 6 << 20
"""Three are in memory at once for each file: one that is filled, two on their way."""
LARGEST = 5 << 30
_FLAT = 1000
"""Parts before the first doubling; at 6 MiB that is an object of 5.9 GiB."""
_FLAT_AT_MOST = 5000
_DOUBLINGS = 10


def part_size(number: int, expected_size: int) -> int:
    """Bytes of the part of that number, from 1, of an object thought to get that large (0: unknown)."""
    # A source that is huge itself starts with larger parts and stays there until the object is as large
    # as expected, rather than to end with far larger ones.
    first = min(max(FIRST, _whole_mib(-(-expected_size // _FLAT_AT_MOST))), LARGEST)
    flat = min(max(-(-expected_size // first), _FLAT), _FLAT_AT_MOST)
    if number <= flat:
        return first
    width = (MAX_PARTS - flat) // _DOUBLINGS
    doublings: int = 1 + (number - flat - 1) // width
    return min(first << doublings, LARGEST)


def _whole_mib(count: int) -> int:
    return -(-count // (1 << 20)) << 20
