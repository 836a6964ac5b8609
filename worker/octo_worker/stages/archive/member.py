"""A file in an archive, and which names it may have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed, MalformedError
from octo_worker.layout import NameRefusedError, check_path

_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A regular file of an archive. How long it is, is known only once it has been read."""

    name: str
    chunks: Iterator[bytes]


def member(name: str, data: Iterator[bytes]) -> Member:
    """A member whose chunks may be closed early: what then is left in ``data`` can still be passed over."""
    return Member(name, (chunk for chunk in data))


def shown(raw: str) -> str:
    """A name for a message."""
    return repr(raw[:200])


class Names:
    """The names of one archive's members."""

    def __init__(self, limits: Unpack) -> None:
        self._limits = limits
        self._seen: set[str] = set()

    def accept(self, raw: str) -> str:
        """The path of a member below its archive, once. Raises ``Failed`` if it is refused.

        Only a leading ``./`` is taken off.
        """
        name = raw
        while name.startswith("./"):
            name = name[2:]
        try:
            check_path(name)
        except NameRefusedError as error:
            raise MalformedError(f"archive: name {shown(raw)} refused: {error}") from error
        if _DRIVE.match(name):
            raise MalformedError(f"archive: name {shown(raw)} refused: the path has a drive letter")
        if len(name.encode()) > self._limits.max_name_bytes:
            raise Failed(
                Category.UNPACK_LIMIT,
                f"archive: name {shown(raw)} is longer than unpack.maxNameBytes ({self._limits.max_name_bytes})",
            )
        if name.count("/") > self._limits.max_depth:
            raise Failed(
                Category.UNPACK_LIMIT,
                f"archive: {shown(raw)} is below more than unpack.maxDepth ({self._limits.max_depth}) folders",
            )
        if name in self._seen:
            raise MalformedError(f"archive: two members are named {shown(name)}")
        self._seen.add(name)
        return name
