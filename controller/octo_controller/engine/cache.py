"""The newest known version of each object of one kind, as a view that keeps only what is needed."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

V = TypeVar("V")
Raw = dict[str, Any]

TOMBSTONES = 20_000
"""How many deleted uids are remembered, so that an event that comes late does not bring one back."""


def version_of(raw: Raw) -> int:
    """The resourceVersion as a number: comparable within one kind, by Kubernetes' own promise since 1.35."""
    return int(raw["metadata"]["resourceVersion"])


def name_of(raw: Raw) -> str:
    """The object's name; a cache holds one namespace."""
    return str(raw["metadata"]["name"])


def uid_of(raw: Raw) -> str:
    """The object's uid."""
    return str(raw["metadata"]["uid"])


@dataclass(frozen=True, slots=True)
class Entry(Generic[V]):
    """One object in the cache."""

    name: str
    uid: str
    version: int
    view: V


class Cache(Generic[V]):
    """Objects by name, with indexes. Never goes back: an older version, or one of an object that was
    seen to be gone, is ignored, so that writes of one's own may be put in as soon as they are answered."""

    def __init__(
        self, view: Callable[[Raw], V], *, indexes: Mapping[str, Callable[[V], Iterable[str]]] | None = None
    ) -> None:
        self._view = view
        self._indexers = dict(indexes or {})
        self._entries: dict[str, Entry[V]] = {}
        self._indexes: dict[str, dict[str, set[str]]] = {name: defaultdict(set) for name in self._indexers}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[V]:
        return (entry.view for entry in list(self._entries.values()))

    def get(self, name: str) -> V | None:
        """The view of the object of that name, or None."""
        entry = self._entries.get(name)
        return entry.view if entry else None

    def find(self, index: str, value: str) -> list[V]:
        """The objects that the index lists under ``value``, by name."""
        return [self._entries[name].view for name in sorted(self._indexes[index].get(value, ()))]

    def put(self, raw: Raw, *, revive: bool = False) -> bool:
        """Take in a version of an object; False if a newer one is known, or that the object is gone.

        ``revive`` is for live reads: they are believed over an earlier word that the object is gone.
        Whatever the view raises comes through, and then nothing has changed.
        """
        name, uid, version = name_of(raw), uid_of(raw), version_of(raw)
        known = self._entries.get(name)
        if revive:
            self._gone.pop(uid, None)
        if uid in self._gone or (known is not None and known.version >= version):
            return False
        view = self._view(raw)
        if known is not None:
            if known.uid != uid:
                self._bury(known.uid)
            self._unindex(known)
        entry = Entry(name, uid, version, view)
        self._entries[name] = entry
        for index, keys in self._indexers.items():
            for key in keys(view):
                self._indexes[index][key].add(name)
        return True

    def remove(self, name: str, uid: str) -> bool:
        """Note that an object is gone for good; False if that is no news."""
        known = self._entries.get(name)
        news = uid not in self._gone
        self._bury(uid)
        if known is None or known.uid != uid:
            return news and known is None
        self._unindex(known)
        del self._entries[name]
        return True

    def forget(self, name: str, uid: str) -> bool:
        """Drop an object that may come back, as when a selector matches it no more; False if it is not here."""
        known = self._entries.get(name)
        if known is None or known.uid != uid:
            return False
        self._unindex(known)
        del self._entries[name]
        return True

    def missing(self, present: Set[tuple[str, str]], version: int) -> list[Entry[V]]:
        """What is held here but not, by name and uid, in a complete list taken at ``version``: deletes that no watch
        told of."""
        return [
            entry
            for entry in self._entries.values()
            if entry.version <= version and (entry.name, entry.uid) not in present
        ]

    def _unindex(self, entry: Entry[V]) -> None:
        for index, keys in self._indexers.items():
            for key in keys(entry.view):
                names = self._indexes[index][key]
                names.discard(entry.name)
                if not names:
                    del self._indexes[index][key]

    def _bury(self, uid: str) -> None:
        self._gone[uid] = None
        while len(self._gone) > TOMBSTONES:
            self._gone.popitem(last=False)
