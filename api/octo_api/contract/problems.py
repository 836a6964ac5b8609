"""The types of problem that this API answers with, read from the error classes; and their page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

from octo_api.errors import HTTP_PROBLEMS, TYPE_BASE, status_of
from octo_core.domain.errors import OctoError

_OF_THE_INSIDE = {OctoError.code: "The server failed in a way nobody thought of; its log has the cause."}


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A type of problem: its code ends the URI ``type``."""

    code: str
    status: int
    retryable: bool
    meaning: str


def problem_types() -> list[ProblemType]:
    """All types, by code."""
    found = {code: ProblemType(code, status, False, meaning) for status, code, meaning in HTTP_PROBLEMS}
    for kind in _kinds(OctoError):
        # A class that has no code of its own is one of its base to whoever made the request.
        if "code" in vars(kind) and kind.__module__.startswith(("octo_core.", "octo_api.")):
            meaning = _OF_THE_INSIDE.get(kind.code) or inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0]
            status = status_of(kind) or HTTPStatus.INTERNAL_SERVER_ERROR
            found[kind.code] = ProblemType(kind.code, status, kind.retryable, " ".join(meaning.split()))
    return [found[code] for code in sorted(found)]


def page() -> str:
    """The reference page, as Markdown."""
    lines = [
        "# Problem types",
        "",
        "Made from the error classes by `make api`. Every error answer of the API is a problem document (RFC 9457,",
        "`application/problem+json`). Its `type` is one of these URIs, which never change; `code` is their last part.",
        "`retryable` says whether the same request may succeed later; `Retry-After` then says when. `errors[]` names",
        "what is wrong: `in` (body, query, path, header) and `pointer` (a JSON pointer), and never repeats the value.",
        "",
        "| Code | Status | Retry | Meaning |",
        "| --- | --- | --- | --- |",
    ]
    for problem in problem_types():
        retry = "yes" if problem.retryable else "no"
        meaning = problem.meaning.replace("``", "`").replace("|", "\\|")
        lines.append(f'| <a id="{problem.code}"></a>`{problem.code}` | {problem.status} | {retry} | {meaning} |')
    lines += ["", f"The URI of a type is `{TYPE_BASE}` and its code.", ""]
    return "\n".join(lines)


def _kinds(root: type[OctoError]) -> Iterator[type[OctoError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)
