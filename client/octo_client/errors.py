"""What calls raise."""

from __future__ import annotations

from octo_client.models import Problem


class OctoError(Exception):
    """Base of all errors of this client."""


class UnreachableError(OctoError):
    """There was no answer, after all tries."""


class ProblemError(OctoError):
    """The server answered with a problem document; ``problem.code`` is its stable name for programs."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.code}: {problem.detail} (request {problem.request_id})")
        self.problem = problem
