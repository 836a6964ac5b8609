"""Lists a kind in full and tells what a watch may have missed. A relist yields no deletes: these are made here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from octo_controller.engine.cache import Cache, name_of, uid_of

V = TypeVar("V")
Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, which as a whole is as things were at one resourceVersion."""

    items: list[Raw]
    version: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list had in it: never the objects, which may be many."""

    uids: frozenset[str]
    version: int


class Resync(Generic[V]):
    """Brings one cache level with the cluster: ``seen`` for each object listed, ``gone`` for each that is not.

    A list keeps the resourceVersion of its first page, so that what a watch told of later than that is
    never taken for deleted.
    """

    def __init__(
        self,
        cache: Cache[V],
        *,
        pages: Callable[[], AsyncIterator[Page]],
        seen: Callable[[Raw], None],
        gone: Callable[[str, str], None],
    ) -> None:
        self._cache = cache
        self._pages = pages
        self._seen = seen
        self._gone = gone

    async def run(self) -> Listing:
        """One pass. Raises what ``pages`` raises, and then nothing was taken for gone."""
        present: set[tuple[str, str]] = set()
        version = 0
        async for page in self._pages():
            version = page.version
            for raw in page.items:
                present.add((name_of(raw), uid_of(raw)))
                self._seen(raw)
        for entry in self._cache.missing(present, version):
            self._gone(entry.name, entry.uid)
        return Listing(frozenset(uid for _, uid in present), version)
