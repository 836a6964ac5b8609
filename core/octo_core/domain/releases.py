"""Which of two releases is the newer, by the rules of Semantic Versioning."""

from __future__ import annotations

import re

ANNOTATION = "octo.dev/version"
"""Of a custom resource definition: the release that it is of."""

_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)

_Part = tuple[int, int, str]
_Order = tuple[tuple[int, int, int], int, tuple[_Part, ...]]


def may_replace(mine: str, stored: str | None) -> bool:
    """Whether what bears the stamp ``stored`` (None: none) may be brought to release ``mine``.

    Not where it is of a newer release, whose fields would be taken away, nor where nobody can tell.
    """
    if stored is None:
        return True
    there = _order(stored)
    here = _order(mine)
    if here is None:
        raise ValueError(f"{mine!r} is no version")
    return there is not None and there <= here


def _order(release: str) -> _Order | None:
    match = _RELEASE.fullmatch(release)
    if match is None:
        return None
    before = match[4]
    # A release follows all that came before it, and numbers come before words.
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in (before or "").split(".") if part)
    return (int(match[1]), int(match[2]), int(match[3])), before is None, parts
