"""Lists a kind in full and tells what a watch may have missed. A relist yields no deletes: these are made here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from octo_controller.engine.cache import Cache

V = TypeVar("V")
Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete list of a kind, as it was at one resourceVersion."""

    items: list[Raw]
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
        listing: Callable[[], Awaitable[Listing]],
        seen: Callable[[Raw], None],
        gone: Callable[[str, str], None],
    ) -> None:
        self._cache = cache
        self._listing = listing
        self._seen = seen
        self._gone = gone

    async def run(self) -> Listing:
        """One pass. Raises what ``listing`` raises, and then nothing has changed."""
        listing = await self._listing()
        for raw in listing.items:
            self._seen(raw)
        for entry in self._cache.missing(listing.items, listing.version):
            self._gone(entry.name, entry.uid)
        return listing
