"""Lines on standard output, and how numbers are written for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO


class Output:
    """Writes lines at once. A reader that goes away (``| head``) does not disturb the run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    def line(self, text: str = "") -> None:
        """One line of text."""
        self._write(printable(text))

    def lines(self, texts: Iterable[str]) -> None:
        """Several."""
        for text in texts:
            self.line(text)

    def event(self, name: str, fields: dict[str, Any]) -> None:
        """One JSON object, as printable as a line of text, and with every character of the fields in it."""
        text = json.dumps({"event": name, **fields}, ensure_ascii=False)
        # What cannot be printed can only stand in a string, where JSON has an escape for it.
        self._write("".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text))

    def _write(self, text: str) -> None:
        if self._gone:
            return
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except BrokenPipeError:
            self._gone = True


def printable(text: str) -> str:
    """The text with nothing in it that would command a terminal: names of files are the provider's words."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)


def size(count: float) -> str:
    """Bytes for people: ``1.2 MB``."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 999.95 or unit == "TB":
            break
    return f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds for people: ``0:07``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns, the last one as long as it is."""
    every = [head, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(head) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in every
    ]
