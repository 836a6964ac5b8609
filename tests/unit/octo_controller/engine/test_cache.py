"""The cache never goes back, and a resync tells of the deletes that no watch told of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from octo_controller.engine import cache as cache_module
from octo_controller.engine.cache import Cache
from octo_controller.engine.resync import Page, Resync

Raw = dict[str, Any]


def obj(name: str, version: int, *, uid: str | None = None, colour: str = "red") -> Raw:
    return {"metadata": {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}, "colour": colour}


def make() -> Cache[Raw]:
    return Cache(lambda raw: raw, indexes={"colour": lambda raw: (raw["colour"],)})


def test_a_newer_version_replaces_and_an_older_or_equal_one_is_ignored() -> None:
    cache = make()
    assert cache.put(obj("a", 9))
    assert cache.put(obj("a", 10))  # numbers, not strings
    assert not cache.put(obj("a", 10, colour="blue"))
    assert not cache.put(obj("a", 9, colour="blue"))
    assert cache.get("a") == obj("a", 10)


def test_the_index_follows_changes_and_removals() -> None:
    cache = make()
    cache.put(obj("b", 1))
    cache.put(obj("a", 2))
    assert [raw["metadata"]["name"] for raw in cache.find("colour", "red")] == ["a", "b"]
    cache.put(obj("a", 3, colour="blue"))
    assert [raw["metadata"]["name"] for raw in cache.find("colour", "red")] == ["b"]
    cache.remove("a", "uid-a")
    assert cache.find("colour", "blue") == []


def test_an_event_that_comes_late_does_not_bring_back_the_dead() -> None:
    cache = make()
    cache.put(obj("a", 1))
    assert cache.remove("a", "uid-a")
    assert not cache.put(obj("a", 2))
    assert cache.get("a") is None
    assert cache.put(obj("a", 3, uid="another"))


def test_a_live_read_does_bring_it_back() -> None:
    cache = make()
    cache.remove("a", "uid-a")
    assert cache.put(obj("a", 2), revive=True)


def test_a_delete_of_an_earlier_object_of_that_name_leaves_the_present_one() -> None:
    cache = make()
    cache.put(obj("a", 5, uid="new"))
    assert not cache.remove("a", "old")
    assert cache.get("a") is not None


def test_a_view_that_fails_changes_nothing() -> None:
    def view(raw: Raw) -> Raw:
        if raw["colour"] == "bad":
            raise ValueError("bad colour")
        return raw

    cache: Cache[Raw] = Cache(view)
    cache.put(obj("a", 1))
    with pytest.raises(ValueError, match="bad colour"):
        cache.put(obj("a", 2, colour="bad"))
    assert cache.get("a") == obj("a", 1)


def test_the_memory_of_the_dead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "TOMBSTONES", 3)
    cache = make()
    for number in range(10):
        cache.remove(f"x{number}", f"uid-x{number}")
    assert cache.put(obj("x0", 1))
    assert not cache.put(obj("x9", 1))


async def test_resync_puts_what_was_missed_and_removes_what_is_gone() -> None:
    cache = make()
    for name in ("stays", "vanished"):
        cache.put(obj(name, 5))
    cache.put(obj("younger", 20))  # seen by the watch after the list was taken
    gone: list[str] = []

    async def pages() -> AsyncIterator[Page]:
        yield Page([obj("stays", 5)], 10)
        yield Page([obj("missed", 7)], 10)

    def forget(name: str, uid: str) -> None:
        gone.append(name)
        cache.remove(name, uid)

    await Resync(cache, pages=pages, seen=lambda raw: void(cache.put(raw)), gone=forget).run()
    assert gone == ["vanished"]
    assert {raw["metadata"]["name"] for raw in cache} == {"stays", "missed", "younger"}


async def test_resync_sees_an_object_that_was_replaced_by_one_of_its_name() -> None:
    cache = make()
    cache.put(obj("a", 5, uid="old"))

    async def pages() -> AsyncIterator[Page]:
        yield Page([obj("a", 8, uid="new")], 10)

    await Resync(cache, pages=pages, seen=lambda raw: void(cache.put(raw)), gone=cache_remove(cache)).run()
    assert cache.get("a") == obj("a", 8, uid="new")
    assert not cache.put(obj("a", 9, uid="old"))


def cache_remove(cache: Cache[Raw]) -> Any:
    return lambda name, uid: void(cache.remove(name, uid))


def void(_: object) -> None:
    return None
