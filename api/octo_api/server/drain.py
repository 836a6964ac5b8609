"""That this process was told to end."""

from __future__ import annotations

from collections.abc import Callable


class Drain:
    """From ``begin`` on, the process is not ready for new work, and streams tell their clients to reconnect."""

    def __init__(self) -> None:
        self._begun = False
        self._told: list[Callable[[], None]] = []

    @property
    def begun(self) -> bool:
        """Whether the process was told to end."""
        return self._begun

    def begin(self) -> None:
        """The process was told to end."""
        self._begun = True
        for tell in self._told:
            tell()

    def tell(self, callback: Callable[[], None]) -> None:
        """Call this when the process is told to end: what would keep it from ending has to know."""
        self._told.append(callback)
