"""The projector on a writer that may be away, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from octo_controller.mirror.projector import Projector
from octo_core.domain.errors import DatabaseUnavailableError
from tests.unit.octo_controller.virtual import run_virtual

Raw = dict[str, Any]


def octojob(uid: str, version: int, **more: Any) -> Raw:
    return {"metadata": {"uid": uid, "name": uid, "resourceVersion": str(version), **more}}


class Writer:
    """Remembers what it wrote; fails while ``down``, and always at a poisoned row."""

    def __init__(self) -> None:
        self.down = False
        self.tries = 0
        self.batches: list[list[tuple[str, str]]] = []
        self.log: list[str] = []
        self.poison: set[str] = set()
        self.rows: dict[str, int] = {}

    async def write(self, jobs: list[Raw]) -> None:
        await self._work()
        if any(raw["metadata"]["uid"] in self.poison for raw in jobs):
            raise ValueError("cannot be stored")
        self.batches.append([(raw["metadata"]["uid"], raw["metadata"]["resourceVersion"]) for raw in jobs])
        self.log += [f"write {raw['metadata']['uid']}" for raw in jobs]

    async def mark_deleted(self, uids: Collection[str]) -> None:
        await self._work()
        if not self.poison.isdisjoint(uids):
            raise ValueError("cannot be marked")
        self.log += [f"delete {uid}" for uid in uids]

    async def claim(self) -> None:
        await self._work()

    async def live(self) -> dict[str, int]:
        await self._work()
        return self.rows

    async def _work(self) -> None:
        self.tries += 1
        await asyncio.sleep(0.01)
        if self.down:
            raise DatabaseUnavailableError("away")


def play(script: Callable[[Projector, Writer], Awaitable[None]], **options: Any) -> tuple[Writer, list[str]]:
    writer, committed = Writer(), []

    async def main() -> None:
        projector = Projector(
            writer,
            committed=lambda raw: committed.append(raw["metadata"]["resourceVersion"]),
            flush_seconds=0.1,
            **options,
        )
        task = asyncio.create_task(projector.run())
        await script(projector, writer)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(main())
    return writer, committed


def test_changes_of_one_object_are_one_row_and_rows_are_sorted() -> None:
    async def script(projector: Projector, writer: Writer) -> None:
        for version in (1, 2, 3):
            projector.offer(octojob("b", version))
        projector.offer(octojob("a", 9))
        await asyncio.sleep(1)
        assert projector.pending == 0
        assert projector.holds("b", "3")
        assert not projector.holds("b", "4")

    writer, committed = play(script)
    assert writer.batches == [[("a", "9"), ("b", "3")]]
    assert committed == ["9", "3"]


def test_an_older_version_is_never_written_after_a_newer_one() -> None:
    async def script(projector: Projector, writer: Writer) -> None:
        projector.offer(octojob("a", 10))
        projector.offer(octojob("a", 9))
        await asyncio.sleep(1)
        projector.offer(octojob("a", 9))
        projector.offer(octojob("a", 10))
        await asyncio.sleep(1)

    writer, _ = play(script)
    assert writer.batches == [[("a", "10")]]


def test_a_batch_is_bounded() -> None:
    async def script(projector: Projector, writer: Writer) -> None:
        for number in range(25):
            projector.offer(octojob(f"{number:02}", 1))
        await asyncio.sleep(2)

    writer, _ = play(script, batch=10)
    assert [len(batch) for batch in writer.batches] == [10, 10, 5]


def test_postgres_down_holds_the_newest_of_each_and_then_catches_up() -> None:
    async def script(projector: Projector, writer: Writer) -> None:
        writer.down = True
        for version in range(1, 200):
            projector.offer(octojob("a", version))
            projector.offer(octojob("b", version))
            await asyncio.sleep(1)
        assert projector.pending == 2
        assert not projector.available
        assert projector.lag() > 190
        assert writer.tries < 40, "it does not hammer on the door"
        writer.down = False
        await asyncio.sleep(15)
        assert projector.pending == 0
        assert projector.available

    writer, _ = play(script)
    assert writer.batches == [[("a", "199"), ("b", "199")]]


def test_a_change_that_comes_while_a_batch_is_written_is_written_next() -> None:
    async def script(projector: Projector, writer: Writer) -> None:
        projector.offer(octojob("a", 1))
        await asyncio.sleep(0.105)
        projector.offer(octojob("a", 2))
        await asyncio.sleep(1)

    writer, _ = play(script)
    assert writer.batches == [[("a", "1")], [("a", "2")]]


def test_one_row_that_postgres_does_not_take_does_not_hold_up_the_others() -> None:
    skipped: list[int] = []

    async def script(projector: Projector, writer: Writer) -> None:
        writer.poison = {"c"}
        for uid in "abcde":
            projector.offer(octojob(uid, 1))
        await asyncio.sleep(1)
        assert not projector.holds("c", "1")
        assert projector.pending == 0

    writer, _ = play(script, skipped=lambda: skipped.append(1))
    assert sorted(uid for batch in writer.batches for uid, _ in batch) == ["a", "b", "d", "e"]
    assert skipped == [1]


def test_a_row_that_cannot_be_marked_does_not_hold_up_the_others_or_end_the_mirror() -> None:
    skipped: list[int] = []

    async def script(projector: Projector, writer: Writer) -> None:
        writer.poison = {"c"}
        for uid in "abcd":
            projector.gone(uid)
        await asyncio.sleep(10)
        projector.offer(octojob("e", 1))
        await asyncio.sleep(10)
        assert projector.pending == 0

    writer, _ = play(script, skipped=lambda: skipped.append(1))
    assert sorted(writer.log) == ["delete a", "delete b", "delete d", "write e"]
    assert skipped == [1]


def test_a_row_is_marked_deleted_after_its_last_version() -> None:
    async def script(projector: Projector, writer: Writer) -> None:
        for uid in ("a", "b", "z"):
            projector.offer(octojob(uid, 1))
        projector.gone("z")
        await asyncio.sleep(1)
        assert not projector.holds("z", "1")

    writer, _ = play(script, batch=2)
    assert writer.log.index("write z") < writer.log.index("delete z")


def test_deletes_survive_an_outage() -> None:
    async def script(projector: Projector, writer: Writer) -> None:
        writer.down = True
        projector.gone("a")
        await asyncio.sleep(30)
        assert projector.pending == 1
        assert await projector.live() is None
        writer.down = False
        await asyncio.sleep(15)

    writer, _ = play(script)
    assert writer.log == ["delete a"]


def test_drain_writes_all_that_waits_or_says_that_it_could_not() -> None:
    async def main() -> None:
        writer = Writer()
        projector = Projector(writer, committed=lambda raw: None)
        projector.offer(octojob("a", 1))
        assert await projector.drain(timeout=5)
        writer.down = True
        projector.offer(octojob("a", 2))
        assert not await projector.drain(timeout=5)

    run_virtual(main())
