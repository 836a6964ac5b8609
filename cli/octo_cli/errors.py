"""What ends a command: one clear line, what to do about it, and an exit code."""

from __future__ import annotations

from octo_cli.exits import Exit


class CliError(Exception):
    """Told to the person on standard error."""

    def __init__(self, message: str, code: Exit, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


class NotOfferedError(CliError):
    """The way that was chosen does not lead there."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} cannot be had over the cluster's API alone",
            Exit.USAGE,
            "It is kept by Octo's server: sign in there with `octo login URL`, and leave out --kubeconfig.",
        )


class NotFoundError(CliError):
    """There is no such thing."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, Exit.NOT_FOUND, hint)
