"""Lines of logs: one form, wherever they come from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_LINE = 16_384
HEAD_BYTES = 256 << 10
TAIL_BYTES = 768 << 10
"""A longer log keeps its beginning and its end."""

_OVERLAP = timedelta(seconds=3)
"""A read goes on from a whole second, and lines of two outputs may stand a little out of their order."""

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")
# C0 but the tab, DEL, C1, line and paragraph separators, and what turns the direction of text around.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Line:
    """A line and the time at which the container runtime took it; ``stamp`` is as it was written."""

    stamp: str
    text: str

    @property
    def at(self) -> datetime:
        """The time, to the microsecond."""
        found = _STAMP.match(self.stamp)
        assert found is not None  # noqa: S101 - parse made the line of one
        return datetime.fromisoformat(f"{found[1]}.{(found[2] or '0')[:6].ljust(6, '0')}{found[3]}")


def parse(log: str) -> list[Line]:
    """The lines of a log with timestamps, as the API server gives it. What has no timestamp is cut off, and left out:
    a read that is limited may begin or end within a line."""
    lines = []
    for line in log.split("\n"):
        found = _STAMP.match(line)
        if found is not None:
            lines.append(Line(line[: found.end()].rstrip(" "), line[found.end() :]))
    return lines


def join(lines: Iterable[Line]) -> str:
    """The log that ``parse`` makes these lines of."""
    return "".join(f"{line.stamp} {line.text}\n" for line in lines)


def bounded(head: Sequence[Line], tail: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """As much of the beginning, and of the end, of a log as is kept of a long one; no line stands in both."""
    first = _within(head, HEAD_BYTES)
    last = list(reversed(_within(list(reversed(tail)), TAIL_BYTES)))
    known = set(first)
    return first, [line for line in last if line not in known]


class Said:
    """What was sent of one pod's log already, so that lines which are read again are not sent twice.

    Lines of the last moments are remembered, where a read goes on; what is older was all sent.
    """

    def __init__(self) -> None:
        self.at: datetime | None = None
        self._recent: dict[Line, datetime] = {}

    def new(self, lines: Iterable[Line]) -> list[Line]:
        """Those that were not sent yet; from now on they were."""
        floor = None if self.at is None else self.at - _OVERLAP
        found = [
            (line, at)
            for line, at in ((line, line.at) for line in lines)
            if (floor is None or at >= floor) and line not in self._recent
        ]
        if found:
            latest = max(at for _, at in found)
            self.at = latest if self.at is None else max(self.at, latest)
            known = {**self._recent, **dict(found)}
            self._recent = {line: at for line, at in known.items() if at >= self.at - _OVERLAP}
        return [line for line, _ in found]


def _within(lines: Sequence[Line], size: int) -> list[Line]:
    kept: list[Line] = []
    for line in lines:
        size -= len(line.stamp) + len(line.text.encode(errors="replace")) + 2
        if size < 0:
            break
        kept.append(line)
    return kept


def shown(line: Line, *, timestamps: bool) -> str:
    """The line as it is sent. Nothing in it can pass for another line, or do anything to a terminal."""
    text = line.text.removesuffix("\r")
    if len(text) > MAX_LINE:
        text = f"{text[:MAX_LINE]} [octo: line cut]"
    safe = _UNSAFE.sub(_escaped, text)
    return f"{line.stamp} {safe}\n" if timestamps else f"{safe}\n"


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
