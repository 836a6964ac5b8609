"""Exit codes: a promise to scripts."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNAVAILABLE = 5
    CANCELLED = 6
    TIMEOUT = 7
    CONFLICT = 8
    BROKEN = 70
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done; of a run that was waited for: it succeeded",
    Exit.RUN_FAILED: "the run that was waited for failed, or a verification found something",
    Exit.USAGE: "the command or the request is not valid, or cannot be had this way",
    Exit.NOT_FOUND: "there is no such run, provider or key",
    Exit.REFUSED: "not signed in, or not allowed",
    Exit.UNAVAILABLE: "no answer, or one that says to try later",
    Exit.CANCELLED: "the run that was waited for was cancelled",
    Exit.TIMEOUT: "`--timeout` was over first; the run goes on",
    Exit.CONFLICT: "things are not in the state for it, such as a run that has ended, or have changed meanwhile",
    Exit.BROKEN: "an error of `octo` itself",
    Exit.INTERRUPTED: "ended by Ctrl-C; a run that was waited for goes on",
}


def exit_of_state(state: str) -> Exit:
    """The exit code of a command that waited for a run which ended in this state."""
    return {"Succeeded": Exit.DONE, "Cancelled": Exit.CANCELLED}.get(state, Exit.RUN_FAILED)
