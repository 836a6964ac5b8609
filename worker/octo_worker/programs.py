"""What other programs the worker starts see of it, and what its libraries see of other programs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NOWHERE = os.devnull
"""No folder, so nothing is found in it."""
_lock = threading.Lock()
_hidden: list[str | None] = []
"""The path while it is hidden."""


def environment() -> dict[str, str]:
    """What a child may see of ours: where programs are, and nothing else."""
    with _lock:
        path = _hidden[0] if _hidden else os.environ.get("PATH")
    return {"PATH": os.defpath if path is None else path, "LC_ALL": "C.UTF-8"}


@contextmanager
def hidden_programs() -> Iterator[None]:
    """Let libraries find no program while they are loaded, by one thread.

    asyncssh looks for shared libraries that it does not need, and Python asks gcc and ld for each where there are any:
    a dozen processes, longer than all else that is done at start.
    """
    with _lock:
        _hidden.append(os.environ.get("PATH"))
        os.environ["PATH"] = _NOWHERE
    try:
        yield
    finally:
        with _lock:
            path = _hidden.pop()
            if path is None:
                del os.environ["PATH"]
            else:
                os.environ["PATH"] = path
