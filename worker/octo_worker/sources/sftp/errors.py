"""What the errors of asyncssh mean for a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

from octo_core.domain.failure import Category
from octo_worker.failure import ConnectionLostError, Failed, one_line

ERRORS = (OSError, asyncssh.Error)
"""Everything that asyncssh raises when a request fails."""
_GONE = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_LOST = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.DisconnectError, OSError)
_FORBIDDEN = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect)


def is_missing(error: Exception) -> bool:
    """Whether the server says that there is nothing of that name."""
    return isinstance(error, _GONE)


def is_lost(error: Exception) -> bool:
    """Whether the connection broke."""
    return isinstance(error, _LOST)


def translated(error: Exception, doing: str, *, missing: Category = Category.INTEGRITY) -> Failed:
    """The verdict for a failed request; ``missing`` is the category where there is nothing of that name."""
    text = f"{doing}: {one_line(error)}"
    if isinstance(error, _FORBIDDEN):
        return Failed(Category.AUTH, text)
    if is_lost(error):
        return ConnectionLostError(text)
    if is_missing(error):
        return Failed(missing, text)
    return Failed(Category.REMOTE_UNAVAILABLE, text)


@contextmanager
def translating(doing: str, *, missing: Category = Category.INTEGRITY) -> Iterator[None]:
    """Raise the errors of requests as their verdicts."""
    try:
        yield
    except ERRORS as error:
        raise translated(error, doing, missing=missing) from error
