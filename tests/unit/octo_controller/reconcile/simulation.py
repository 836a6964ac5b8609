"""A cluster, a queue and a mirror in memory, as the properties of ``decide`` see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from octo_controller.reconcile.model import (
    Ended,
    PodView,
)
from tests.unit.octo_controller.builders import at

Raw = dict[str, Any]


@dataclass
class Pod:
    """A pod of the model."""

    name: str
    phase: str = "Pending"
    exit_code: int | None = None
    deletion: datetime | None = None
    index: int = 0

    def view(self) -> PodView:
        ended = Ended(self.exit_code) if self.exit_code is not None else None
        return PodView(
            self.name,
            f"uid-{self.name}",
            self.phase,
            index=self.index,
            running=self.phase == "Running",
            ended=ended,
            deletion=self.deletion,
        )


def ranges(indexes: set[int]) -> str:
    """Indexes as the status of an Indexed Job has them: ``0,2-4``."""
    parts = []
    for first in sorted(index for index in indexes if index - 1 not in indexes):
        last = first
        while last + 1 in indexes:
            last += 1
        parts.append(str(first) if first == last else f"{first}-{last}")
    return ",".join(parts)


@dataclass
class Cluster:
    """What the API server holds."""

    version: int = 100
    seconds: float = 0
    jobs: dict[str, Raw] = field(default_factory=dict)
    children: dict[str, Raw] = field(default_factory=dict)
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    created: list[tuple[str, str]] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return at(self.seconds)

    def touch(self, raw: Raw) -> Raw:
        self.version += 1
        raw["metadata"]["resourceVersion"] = str(self.version)
        return raw


class Queue:
    """A queue that remembers nothing: the model visits whom it wants."""

    def add(self, key: Any) -> None: ...
    def add_after(self, key: Any, delay: float) -> None: ...
    def forget(self, key: Any) -> None: ...


class Mirror:
    """A mirror that is as far as the model says."""

    def __init__(self) -> None:
        self.offered: dict[str, int] = {}
        self.held: dict[str, int] = {}

    def offer(self, raw: Raw) -> None:
        self.offered[raw["metadata"]["uid"]] = int(raw["metadata"]["resourceVersion"])

    def gone(self, uid: str) -> None:
        self.held.pop(uid, None)

    def holds(self, uid: str, version: str) -> bool:
        return self.held.get(uid, -1) >= int(version)


def copied(raw: Any) -> Any:
    """A deep copy of JSON."""
    if isinstance(raw, dict):
        return {key: copied(value) for key, value in raw.items()}
    return [copied(item) for item in raw] if isinstance(raw, list) else raw
