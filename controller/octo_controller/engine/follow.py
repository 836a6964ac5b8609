"""Whether a watch still tells of what happens: silence alone proves nothing, a change that it kept to itself does."""

from __future__ import annotations

from collections.abc import Callable


class Follower:
    """Compares what a watch told with what is known otherwise, by an answer to a write or a list.

    Versions are resourceVersions of one kind. ``clock`` is in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard = -1
        self._awaited: tuple[int, float] | None = None

    def heard(self, version: int) -> None:
        """The watch told of this version."""
        self._heard = max(self._heard, version)
        if self._awaited is not None and self._heard >= self._awaited[0]:
            self._awaited = None

    def expect(self, version: int) -> None:
        """This version exists, so the watch has to tell of it or of a later one."""
        if version > self._heard and self._awaited is None:
            self._awaited = (version, self._clock())

    def settle(self, newest: int) -> None:
        """A list shows ``newest`` (-1 without any object): what was awaited beyond it has gone meanwhile."""
        if self._awaited is not None and newest <= self._heard:
            self._awaited = None
        self.expect(newest)

    def behind(self) -> float:
        """Seconds since the oldest change that the watch owes; 0 if it owes none."""
        return self._clock() - self._awaited[1] if self._awaited is not None else 0.0
