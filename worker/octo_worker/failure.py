"""The one exception by which a part of the worker says why a file, or the run, failed."""

from __future__ import annotations

from octo_core.domain.errors import OctoError
from octo_core.domain.failure import Category


class Failed(OctoError):  # noqa: N818 - it is raised as a verdict: `raise Failed(...)`
    """A file or a run failed for a known reason. The message is for a person and carries no secret."""

    code = "run-failed"

    def __init__(self, category: Category, message: str) -> None:
        super().__init__(message)
        self.category = category


class ConnectionLostError(Failed):
    """The connection to the source broke. Another try over a new one may succeed."""

    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(Category.REMOTE_UNAVAILABLE, message)


class MalformedError(Failed):
    """What a file holds is not the compressed data or archive that its name says. If it came out of an OpenPGP
    message, the cause may lie there: gpg gives out plaintext before it knows that the message is whole."""

    def __init__(self, message: str) -> None:
        super().__init__(Category.INTEGRITY, message)


def one_line(error: BaseException, limit: int = 300) -> str:
    """An error's text for a message: its first line, cut."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:limit]
