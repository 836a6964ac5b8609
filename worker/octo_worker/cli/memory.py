"""Finds a folder in memory for key material, which must not reach a disk: not even for a moment, not even deleted."""

from __future__ import annotations

import re
from pathlib import Path

from octo_core.domain.failure import Category
from octo_worker.failure import Failed

DEFAULT = Path("/dev/shm")  # noqa: S108 - private folders are made in it
MOUNTS = Path("/proc/self/mounts")
_IN_MEMORY = ("tmpfs", "ramfs")
_WHY = "the OpenPGP key is unwrapped there, and must not reach a disk"


def memory_dir(given: Path | None) -> Path:
    """The folder to use. Raises ``Failed`` (Config) if there is none, or the given one is on a disk."""
    mounts = MOUNTS.read_text(errors="replace") if MOUNTS.exists() else None
    if given is None:
        if mounts is None or not DEFAULT.is_dir() or filesystem(DEFAULT, mounts) not in _IN_MEMORY:
            raise Failed(
                Category.CONFIG,
                f"there is no {DEFAULT} in memory here; name a folder on a tmpfs or RAM disk with --memory-dir: {_WHY}",
            )
        return DEFAULT
    if not given.is_dir():
        raise Failed(Category.CONFIG, f"--memory-dir: {given} is no folder; name one on a tmpfs or RAM disk")
    # Elsewhere than on Linux nobody tells what a folder is on; there the user's word counts.
    if mounts is not None and (kind := filesystem(given, mounts)) not in _IN_MEMORY:
        raise Failed(
            Category.CONFIG,
            f"--memory-dir: {given} is on {kind or 'an unknown file system'}; name a folder on a tmpfs, "
            f"such as {DEFAULT}: {_WHY}",
        )
    return given.absolute()


def filesystem(path: Path, mounts: str) -> str | None:
    """The type of the file system that holds ``path``, by the text of ``/proc/self/mounts``."""
    real, best, kind = path.resolve(), -1, None
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), words[1]))
        # A later mount on the same place covers the earlier one.
        if (real == point or point in real.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), words[2]
    return kind
