"""What processes of this machine belong to a worker, and what they show of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def processes() -> Iterator[Path]:
    """The folder in /proc of every process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield entry


def arguments(process: Path) -> list[str]:
    """The arguments of a process; none if it has ended."""
    try:
        return [part.decode(errors="replace") for part in (process / "cmdline").read_bytes().split(b"\0")]
    except OSError:
        return []


def gpg_of(memory: Path) -> list[str]:
    """Commands of the gpg programs whose key rings lie below a folder, the agents by their own name."""
    found = []
    for process in processes():
        words = arguments(process)
        if any(word.startswith(f"{memory}/") for word in words):
            found.append(Path(words[0]).name)
    return found
