"""Errors of the cluster's API, for people."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import httpx2
from lightkube.core.exceptions import ApiError, ConfigError

from octo_cli.errors import CliError
from octo_cli.exits import Exit

T = TypeVar("T")

_WAITS = (0.5, 1.0, 2.0, 4.0)
_CODES = {
    400: Exit.USAGE,
    401: Exit.REFUSED,
    403: Exit.REFUSED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    410: Exit.CONFLICT,
    422: Exit.USAGE,
    429: Exit.UNAVAILABLE,
}
_HINTS = {
    Exit.REFUSED: "Ask for a role that allows it; `kubectl auth can-i --list` tells what you may do.",
    Exit.CONFLICT: "Look at it again, then try once more.",
    Exit.UNAVAILABLE: "Try again.",
}


def error_of(error: Exception) -> CliError | None:
    """What to tell a person; None if it is no error of the cluster's API."""
    if isinstance(error, ApiError):
        status = error.status.code or 500
        code = _CODES.get(status, Exit.UNAVAILABLE if status >= 500 else Exit.USAGE)
        hint = "`kubectl octo ls` lists the runs of the namespace." if code is Exit.NOT_FOUND else _HINTS.get(code, "")
        return CliError(f"the cluster says: {error.status.message or error}", code, hint)
    if isinstance(error, httpx2.HTTPError):
        return CliError(
            f"the cluster's API does not answer: {str(error) or type(error).__name__}",
            Exit.UNAVAILABLE,
            "Is the kubeconfig's context the right one? `kubectl version` would tell the same.",
        )
    if isinstance(error, ConfigError):
        return CliError(f"the kubeconfig cannot be used: {error}", Exit.USAGE)
    return None


def passes(error: Exception) -> bool:
    """Whether asking again may help: the connection broke, or the API server is not able to answer now."""
    if isinstance(error, ApiError):
        return (error.status.code or 500) >= 500 or error.status.code == 429
    return isinstance(error, httpx2.TransportError)


def read(request: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """The answer to a request that changes nothing, which is made again for some seconds while its error passes."""
    for wait in _WAITS:
        try:
            return request()
        except Exception as error:
            if not passes(error):
                raise
        sleep(wait)
    return request()
