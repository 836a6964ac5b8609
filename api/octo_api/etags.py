"""Entity tags (RFC 9110, 8.8.3 and 13.1.1): a write that names one goes through only if nobody wrote in between."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import Header

from octo_api.errors import PreconditionFailedError

TAGS_PATTERN = r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'

IfMatch = Annotated[
    str | None,
    Header(
        max_length=1024,
        pattern=TAGS_PATTERN,
        description="`ETag` of the version that the change is meant for; 412 if it is not the newest any more.",
    ),
]

IfNoneMatch = Annotated[
    str | None,
    Header(
        max_length=1024,
        pattern=TAGS_PATTERN,
        description="`ETag` of the version that is known already; 304 without a body if it is still the newest.",
    ),
]


def etag_of(*parts: Any) -> str:
    """The tag of a representation, from the parts of it that a client may write (JSON values)."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return f'"{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"'


def require_match(if_match: str | None, etag: str) -> None:
    """Raise PreconditionFailedError unless the header is absent, ``*``, or names this tag. A weak tag never matches."""
    if if_match is None or if_match.strip() == "*" or etag in (tag.strip() for tag in if_match.split(",")):
        return
    raise PreconditionFailedError("The object has changed since the version in If-Match; read it again.")


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the header names this tag, so that 304 is the answer. Here a weak tag matches too."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
