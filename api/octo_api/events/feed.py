"""The newest events of all, once in this process, for all streams: a window, and bells that ring when it grows."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from octo_api.events.frames import frame
from octo_core.db.events import Event

CAPACITY = 4096
_RING_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How many streams a process holds, and the seconds between signs of life of a quiet one."""

    streams: int
    heartbeat_seconds: float


@dataclass(frozen=True, slots=True)
class Entry:
    """An event with its position, and the bytes that all streams of all events send."""

    position: int
    event: Event
    sent: bytes


class Bell:
    """Wakes one stream. Once ``ended`` it stays so."""

    __slots__ = ("_event", "ended")

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.ended = False

    def ring(self) -> None:
        """There may be something to send."""
        self._event.set()

    def end(self) -> None:
        """The stream is to end."""
        self.ended = True
        self._event.set()

    async def heard(self, *, timeout: float) -> bool:
        """Wait for the next ring; False if none came in time."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Feed:
    """A window on the end of the order of events. A stream keeps a place in it instead of a queue of its own.

    So a thousand slow streams cost nothing; one that falls behind the window reads from Postgres.
    """

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: list[Entry] = []
        self._positions: list[int] = []
        self._begins: int | None = None
        self._bells: dict[Bell, str | None] = {}
        self.closed = False

    @property
    def head(self) -> int | None:
        """Position of the last event that is known here; None before the start."""
        return self._positions[-1] if self._positions else self._begins

    @property
    def streams(self) -> int:
        """How many listen."""
        return len(self._bells)

    def start(self, head: int) -> None:
        """Begin an empty window behind ``head``; whoever has a place in another one reads from Postgres."""
        self._entries, self._positions, self._begins = [], [], head

    def covers(self, position: int) -> bool:
        """Whether a stream may begin behind ``position`` with nothing but this window."""
        return self._begins is not None and self._begins <= position <= (self.head or 0)

    def since(self, position: int, *, most: int) -> Sequence[Entry] | None:
        """Events behind ``position``, at most that many; None if the window does not reach back so far."""
        if self._begins is None or position < self._begins:
            return None
        first = bisect_right(self._positions, position)
        return self._entries[first : first + most]

    def add(self, events: Iterable[Event]) -> set[str | None]:
        """Make the window grow; returns the runs that the events are of, for ``ring``."""
        runs: set[str | None] = set()
        for event in events:
            assert event.position is not None  # noqa: S101 - they are read by their position
            self._entries.append(Entry(event.position, event, frame(event, event.position)))
            self._positions.append(event.position)
            runs.add(event.job_uid)
        # Seldom, so that it costs little.
        if len(self._entries) > 2 * self._capacity:
            surplus = len(self._entries) - self._capacity
            self._begins = self._positions[surplus - 1]
            del self._entries[:surplus], self._positions[:surplus]
        return runs

    async def ring(self, runs: set[str | None]) -> None:
        """Wake the streams of these runs and those of all, a few at a time: requests have their turn in between."""
        called = [bell for bell, run in self._bells.items() if run is None or run in runs]
        for number, bell in enumerate(called, 1):
            bell.ring()
            if number % _RING_AT_ONCE == 0:
                await asyncio.sleep(0)

    def listen(self, *, run: str | None) -> Bell:
        """A bell that rings for events of this run, or of all; to be given back with ``leave``."""
        bell = Bell()
        if self.closed:
            bell.end()
        self._bells[bell] = run
        return bell

    def leave(self, bell: Bell) -> None:
        """Nobody listens to that bell any more."""
        self._bells.pop(bell, None)

    def close(self) -> None:
        """End all streams: the process is about to end, and their clients reconnect to another."""
        self.closed = True
        for bell in self._bells:
            bell.end()
