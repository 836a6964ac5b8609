"""The globs of ``include`` and ``exclude``. Pure."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    """``*`` and ``?`` stay within a folder, ``**`` crosses; a glob without a slash is matched in every folder."""
    anchored = glob.lstrip("/")
    out = "" if "/" in glob else "(?:.*/)?"
    rest = anchored
    while rest:
        if rest.startswith("**/"):
            out, rest = out + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            out, rest = out + ".*", rest[2:]
        elif rest[0] == "*":
            out, rest = out + "[^/]*", rest[1:]
        elif rest[0] == "?":
            out, rest = out + "[^/]", rest[1:]
        elif group := re.match(r"\[(!?)(\]?[^\]/]*)\]", rest):
            members = re.sub(r"([\\\[\]^&~|])", r"\\\1", group[2])
            out, rest = out + f"[{'^/' if group[1] else ''}{members}]", rest[group.end() :]
        else:
            out, rest = out + re.escape(rest[0]), rest[1:]
    return re.compile(out, re.DOTALL)


def matches(glob: str, path: str) -> bool:
    """Whether a path below its root matches a glob of ``include`` or ``exclude``."""
    try:
        return _pattern(glob).fullmatch(path) is not None
    except re.error:
        return glob == path
