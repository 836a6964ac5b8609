"""Limits against decompression bombs, checked while bytes flow."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed

RATIO_FREE_BYTES = 64 << 20
"""A file may expand to this much whatever its ratio: small, well-compressed files are common."""


@dataclass(slots=True)
class ExpansionMeter:
    """Counts what one source file expands to in one stage, and stops it at the limits."""

    source_size: int
    limits: Unpack
    total: int = 0

    def add(self, count: int) -> None:
        """Count bytes that a stage gave out; raises when they are too many."""
        self.total += count
        if self.total > self.limits.max_expanded_bytes:
            raise Failed(
                Category.UNPACK_LIMIT,
                f"expands to more than unpack.maxExpandedBytes ({self.limits.max_expanded_bytes})",
            )
        if self.total > RATIO_FREE_BYTES and self.total > self.source_size * self.limits.max_ratio:
            raise Failed(
                Category.UNPACK_LIMIT,
                f"expands to more than unpack.maxRatio ({self.limits.max_ratio}) times its {self.source_size} bytes",
            )


@dataclass(slots=True)
class EntryMeter:
    """Counts the entries of one archive."""

    limits: Unpack
    total: int = 0

    def add(self) -> None:
        """Count one header; raises when there are too many."""
        self.total += 1
        if self.total > self.limits.max_entries:
            raise Failed(Category.UNPACK_LIMIT, f"has more than unpack.maxEntries ({self.limits.max_entries}) members")


class MemoryBudget:
    """Bytes that several threads together may hold in memory for one purpose."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Reserve bytes if they are free; never waits."""
        with self._lock:
            if count > self._free:
                return False
            self._free -= count
            return True

    def give_back(self, count: int) -> None:
        """Free reserved bytes."""
        with self._lock:
            self._free += count
