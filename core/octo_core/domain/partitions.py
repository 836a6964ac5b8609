"""Which controller decides a run, where more than one share a namespace. Pure.

Each OctoProvider falls into one of ``PARTITIONS`` partitions by its name, for good, and with it all its runs: so one
controller decides what of them may go, and fires the schedule. Controllers share the partitions, not the runs, so that
their number can change without anything being labelled anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from octo_core.domain.names import LABEL_PARTITION

PARTITIONS = 64
"""A promise: labels in clusters hold numbers below it."""

MAX_SHARDS = 16
"""Controllers that may share a namespace. The chart's Role names as many Leases."""


def partition_of(namespace: str, provider: str) -> int:
    """The partition of an OctoProvider and of its runs."""
    return int.from_bytes(hashlib.sha256(f"{namespace}/{provider}".encode()).digest()[:8]) % PARTITIONS


def partition_labels(namespace: str, provider: str) -> dict[str, str]:
    """What an OctoJob of the provider and its Jobs carry, so that the API server can tell them apart."""
    return {LABEL_PARTITION: str(partition_of(namespace, provider))}


@dataclass(frozen=True, slots=True)
class Share:
    """The partitions of controller ``index`` of ``count``. Raises ValueError if there is no such controller."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count <= MAX_SHARDS:
            raise ValueError(f"there is no controller {self.index} of {self.count}: at most {MAX_SHARDS}, from 0")

    @property
    def whole(self) -> bool:
        """Whether it is all there is."""
        return self.count == 1

    def owns(self, partition: int) -> bool:
        """Whether this controller decides the runs of a partition."""
        return partition % self.count == self.index

    def meets(self, other: Share) -> bool:
        """Whether the two have a partition in common."""
        return any(self.owns(number) and other.owns(number) for number in range(PARTITIONS))

    def selector(self) -> str:
        """A label selector for what this controller watches; empty for everything. Each object is selected by
        exactly one of ``count``: the first has those without the label, or with a wrong one, too."""
        if self.whole:
            return ""
        own = [str(number) for number in range(PARTITIONS) if self.owns(number)]
        others = [str(number) for number in range(PARTITIONS) if not self.owns(number)]
        return (
            f"{LABEL_PARTITION} notin ({','.join(others)})"
            if self.index == 0
            else f"{LABEL_PARTITION} in ({','.join(own)})"
        )

    def part_of(self, total: int) -> int:
        """This controller's part of a number that all of them share; the parts add up to it."""
        return total // self.count + (self.index < total % self.count)
