"""What the interpreter and the C library are told once, for a process of few busy threads and large buffers."""

from __future__ import annotations

import ctypes
import sys

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_ARENAS = 2
_MMAP_FROM = 256 << 10
_SWITCH_SECONDS = 0.0005


def tune() -> None:
    """Keep memory flat and the event loop quick to answer."""
    # The loop's thread wants the interpreter for a moment after each packet, the files' threads for a moment between
    # two long calls that do without it. With the default of 5 ms one waits for the other most of the time.
    sys.setswitchinterval(_SWITCH_SECONDS)
    if sys.platform == "linux":
        # Otherwise glibc keeps an arena for each thread, and what a buffer leaves in it is seldom given back.
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, _ARENAS)
            mallopt(_M_MMAP_THRESHOLD, _MMAP_FROM)
