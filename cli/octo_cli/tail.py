"""A log that is followed to its end, also where the connection breaks on the way: each line once, and none missing."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator

LOOK_SECONDS = 1.0
GIVE_UP_SECONDS = 300.0

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")


class Told:
    """Which lines were shown. ``since`` is from where to read again, to the microsecond: it brings the lines of that
    moment once more, and each of those is known here. ``timestamps``: whether lines are shown with their times."""

    def __init__(self, *, timestamps: bool) -> None:
        self.since: str | None = None
        self.answers = 0
        self._timestamps = timestamps
        self._shown: Counter[str] = Counter()
        self._again: Counter[str] = Counter()

    def begin(self) -> None:
        """An answer begins, of lines with their times."""
        self.answers += 1
        self._again = self._shown.copy()

    def take(self, line: str) -> str | None:
        """What to show of a line; None if it was shown before."""
        found = _STAMP.match(line)
        if found is None:
            # What the server says of a log as a whole, which it said when it was read first.
            return line if self.answers == 1 else None
        # Of one width, so that they compare as text do; a log keeps to one time zone.
        moment = f"{found[1]}.{(found[2] or '0')[:6].ljust(6, '0')}{found[3]}"
        if self.answers > 1 and self.since is not None and moment < self.since:
            return None
        if self._again[line]:
            self._again[line] -= 1
            return None
        if self.since is None or moment > self.since:
            self.since = moment
            self._shown.clear()
        self._shown[line] += 1
        return line if self._timestamps else line[found.end() :]


def followed(
    told: Told,
    read: Callable[[], Iterator[str]],
    passes: Callable[[Exception], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """The lines of ``read`` that are new, until it ends in order. It has ``told.begin`` called once there is an answer.

    An error that ``passes`` has it read again, unless there was no answer at all yet, or none for some minutes.
    """
    broken: float | None = None
    while True:
        answers = told.answers
        try:
            for line in read():
                fresh = told.take(line)
                if fresh is not None:
                    yield fresh
        except Exception as error:
            if not told.answers or not passes(error):
                raise
            if broken is None or told.answers > answers:
                broken = clock()
            elif clock() - broken > GIVE_UP_SECONDS:
                raise
        else:
            return
        sleep(LOOK_SECONDS)
