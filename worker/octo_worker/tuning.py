"""What the C library is told once, for a process of several threads that pass large buffers on."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_ARENAS = 2
_MMAP_FROM = 32 << 20
_TRIM_FROM = 64 << 20


def tune() -> None:
    """Keep memory flat, and buffers out of the kernel's way."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return
    # glibc would keep an arena for each thread, and what buffers leave in it is seldom given back.
    mallopt(_M_ARENA_MAX, _ARENAS)
    # And it would map and unmap each large buffer: a tenth of the CPU of a large file went into page faults.
    mallopt(_M_MMAP_THRESHOLD, _MMAP_FROM)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_FROM)
