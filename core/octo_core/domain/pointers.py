"""JSON pointers (RFC 6901): how errors name the field of a document."""

from __future__ import annotations

import re

_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


def pointer(*path: str | int) -> str:
    """The pointer to what lies at ``path``; the empty string is the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def pointer_of_field(field: str) -> str:
    """The pointer for a field as the Kubernetes API names it, such as ``spec.source.sftp.hostKeys[0]``."""
    if field in ("", "<nil>"):
        return ""
    return pointer(*(index.strip("\"'") if index else name for index, name in _PART.findall(field)))
