"""Finds secret material that stands in a document itself, where only a reference to a Secret belongs. Pure.

What it looks for cannot be mistaken: private keys, credentials in a URL, AWS keys, Octo's own API keys, and
variables or arguments of a container whose name says that their value is secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from octo_core.domain.pointers import pointer

_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_URL_PASSWORD = re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
_KNOWN_TOKEN = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bocto_[a-z2-7]{12}_[A-Za-z0-9_-]{43}\b|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"
)
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:password|passwd|passphrase|pwd|secret|token|credentials?|(?:api|private|access|secret)[_-]?key)$",
    re.IGNORECASE,
)
_ARGUMENT = re.compile(r"^-{1,2}([A-Za-z][\w-]*)=(.+)$", re.DOTALL)
_REFERENCE = re.compile(r"^\$\([A-Za-z_]\w*\)$")
"""Kubernetes puts the variable's value there; it may come from a Secret."""

_BY_REFERENCE = "put it into a Secret and name that"


def inline_secrets(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str]]:
    """JSON pointer and reason of each place that holds a secret itself. The reason never repeats it."""
    if isinstance(value, dict):
        if _is_secret_variable(value):
            name = str(value["name"])[:64]
            yield (
                pointer(*path, "value"),
                f"the variable {name} looks like a secret: use valueFrom.secretKeyRef instead of value",
            )
            return
        for key, item in value.items():
            yield from inline_secrets(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from inline_secrets(item, (*path, index))
    elif isinstance(value, str):
        why = _why(value)
        if why is not None:
            yield pointer(*path), f"{why}: {_BY_REFERENCE}"


def _is_secret_variable(value: dict[str, Any]) -> bool:
    name, given = value.get("name"), value.get("value")
    if not isinstance(name, str) or not isinstance(given, str) or not given:
        return False
    return _SECRET_NAME.search(name) is not None and _REFERENCE.match(given) is None


def _why(text: str) -> str | None:
    if _PRIVATE_KEY.search(text):
        return "this is a private key"
    if _URL_PASSWORD.search(text):
        return "this URL holds a password"
    if _KNOWN_TOKEN.search(text):
        return "this looks like an access key or a token"
    argument = _ARGUMENT.match(text)
    if argument and _SECRET_NAME.search(argument[1]) and not _REFERENCE.match(argument[2]):
        return f"the argument {argument[1][:64]} looks like a secret"
    return None
