"""What text may not be in a document."""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 64
"""Of what stands in a document as it was sent; a pod's parts need ten at most."""


def has_nul(value: Any) -> bool:
    """Whether a NUL character, which Postgres cannot hold, stands anywhere in a JSON value."""
    if isinstance(value, dict):
        return any("\0" in key or has_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(has_nul(item) for item in value)
    return isinstance(value, str) and "\0" in value


def without_nul(value: Any) -> Any:
    """A JSON value that Postgres takes."""
    if isinstance(value, dict):
        return {key.replace("\0", ""): without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    return value.replace("\0", "") if isinstance(value, str) else value


def no_nul(text: str) -> str:
    """The text. Raises ValueError if there is a NUL character in it."""
    if "\0" in text:
        raise ValueError("may not contain the NUL character")
    return text


def storable(value: dict[str, Any]) -> dict[str, Any]:
    """The object of a JSON document, if all that passes it on can write it as well as it was read.

    Raises ValueError for half a surrogate pair, for a number that is none in JSON, or that 64 bits cannot hold, and
    for what is nested too deeply.
    """
    left = [(item, 1) for item in (*value, *value.values())]
    while left:
        each, depth = left.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"is nested more than {MAX_DEPTH} deep")
        if isinstance(each, dict):
            left += [(item, depth + 1) for item in (*each, *each.values())]
        elif isinstance(each, list):
            left += [(item, depth + 1) for item in each]
        elif isinstance(each, str):
            if not _is_unicode(each):
                raise ValueError("holds half a surrogate pair")
        elif isinstance(each, float) and each - each != 0:
            raise ValueError("holds a number that JSON has not")
        elif isinstance(each, int) and not -(2**63) <= each < 2**63:
            raise ValueError("holds a number of more than 64 bits")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
