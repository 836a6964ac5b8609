"""Runs that are over leave the controller's view, and come back when there is something to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, cast

import pytest

from octo_controller import archivist
from octo_controller.archivist import Archivist, Parting, parting
from octo_controller.mirror.projector import Projector
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_ARCHIVED
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS
from tests.support.waiting import until
from tests.unit.octo_controller.rig import Rig, to_its_end

Raw = dict[str, Any]
KEPT = 600
DAY = 86_400


class Writer:
    """Takes everything."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.deleted: list[str] = []

    async def write(self, jobs: list[Raw]) -> None:
        self.versions |= {raw["metadata"]["name"]: raw["metadata"]["resourceVersion"] for raw in jobs}

    async def mark_deleted(self, uids: Iterable[str]) -> None:
        self.deleted += uids

    async def claim(self) -> None: ...

    async def live(self) -> dict[str, int]:
        return {}


class Shelf:
    """An archivist beside the rig of a controller."""

    def __init__(self) -> None:
        self.rig, self.writer = Rig(), Writer()
        self.projector = Projector(self.writer, committed=lambda raw: self.archivist.committed(raw))
        self.archivist = Archivist(
            cast(KubeClient, self.rig.api),
            self.rig.world,
            self.projector,
            namespace="octo",
            clock=self.rig.now,
            busy=lambda: False,
            after_seconds=0,
            kept_seconds=KEPT,
        )
        self.archivist.accepting = True
        self.archivist.start()
        self.rig.provider()

    def raw(self, name: str) -> Raw:
        return self.rig.api.objects[("octojobs", name)]

    async def run(self, name: str, **spec: Any) -> None:
        """A run that comes to its end, is archived, and committed as it is then."""
        self.rig.job(name, **spec)
        await to_its_end(self.rig, name)
        await self.rig.visit(name)
        self.projector.offer(self.raw(name))
        await self.settled()

    async def put_aside(self, name: str) -> Raw:
        await self.run(name)
        raw = self.raw(name)
        assert raw["metadata"]["labels"] == {LABEL_ARCHIVED: "true"}
        return raw

    async def settled(self) -> None:
        await self.projector.flush()
        await self.archivist.queue.idle()
        await self.projector.flush()


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    shelf = Shelf()
    yield shelf
    await shelf.archivist.queue.close(timeout=0)


async def eventually(condition: Callable[[], object]) -> None:
    async def probe() -> object:
        return condition()

    await until(probe, within=240)


async def test_a_run_that_rests_leaves_with_its_job_and_lets_go_of_its_finalizer(shelf: Shelf) -> None:
    raw = await shelf.put_aside("a")
    assert raw["metadata"]["finalizers"] == []
    assert shelf.rig.api.objects[("jobs", "a-1")]["metadata"]["labels"][LABEL_ARCHIVED] == "true"
    assert shelf.rig.world.jobs.get("a") is None
    assert len(shelf.rig.world.children) == 0
    version = raw["metadata"]["resourceVersion"]
    assert shelf.writer.versions == {"a": version}, "Postgres has it as it is now"
    assert not shelf.projector.holds(raw["metadata"]["uid"], version), "and nothing of it is remembered"
    assert shelf.rig.api.writes[-2:] == ["patch jobs", "patch octojobs"], "its Job goes first"


async def test_one_that_is_deleted_soon_anyway_or_goes_already_stays_in_view(shelf: Shelf) -> None:
    await shelf.run("a", ttl={"afterSuccessSeconds": KEPT})
    assert "labels" not in shelf.raw("a")["metadata"]
    await shelf.put_aside("b")
    shelf.rig.job("c")
    await to_its_end(shelf.rig, "c")
    await shelf.rig.visit("c")
    leaving = shelf.raw("c")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    shelf.projector.offer(shelf.rig.api.put(OCTOJOBS, leaving))
    await shelf.settled()
    assert "labels" not in shelf.raw("c")["metadata"]


async def test_one_that_is_not_over_stays(shelf: Shelf) -> None:
    shelf.rig.job("a")
    await shelf.rig.visit("a")
    shelf.projector.offer(shelf.raw("a"))
    await shelf.settled()
    assert "labels" not in shelf.raw("a")["metadata"]
    assert shelf.rig.world.jobs.get("a") is not None


async def test_a_standby_does_nothing(shelf: Shelf) -> None:
    shelf.archivist.accepting = False
    await shelf.run("a")
    assert "labels" not in shelf.raw("a")["metadata"]


async def test_the_row_of_one_that_is_deleted_is_marked(shelf: Shelf) -> None:
    raw = await shelf.put_aside("a")
    shelf.archivist.heard(raw, True)
    await shelf.settled()
    assert shelf.writer.deleted == [], "it is still there: only its label went"
    del shelf.rig.api.objects[("octojobs", "a")]
    shelf.archivist.heard(raw, True)
    await shelf.settled()
    assert shelf.writer.deleted == ["uid-a"]


async def test_changes_of_it_are_mirrored_and_our_own_are_no_news(shelf: Shelf) -> None:
    raw = await shelf.put_aside("a")
    shelf.archivist.heard(raw, False)
    assert shelf.archivist.queue.depth == 0
    raw["metadata"]["labels"]["team"] = "x"
    changed = shelf.rig.api.put(OCTOJOBS, raw)
    shelf.archivist.heard(changed, False)
    await shelf.settled()
    assert shelf.writer.versions["a"] == changed["metadata"]["resourceVersion"]


async def test_one_that_somebody_else_put_aside_too_early_comes_back(shelf: Shelf) -> None:
    shelf.rig.job("a")
    raw = shelf.raw("a")
    raw["metadata"]["labels"] = {LABEL_ARCHIVED: "true"}
    shelf.archivist.heard(shelf.rig.api.put(OCTOJOBS, raw), False)
    await shelf.settled()
    assert shelf.raw("a")["metadata"]["labels"] == {}


async def test_a_list_brings_what_no_watch_told(shelf: Shelf) -> None:
    raw = await shelf.put_aside("a")
    version = int(raw["metadata"]["resourceVersion"])
    for mirrored, offered in ((version, 0), (None, 0), (version - 1, 1), (-1, 1)):
        assert shelf.archivist.listed(raw, mirrored=mirrored)
        assert (shelf.projector.pending, shelf.archivist.queue.depth) == (offered, 0)
        await shelf.settled()
    shelf.rig.seconds += DAY
    shelf.archivist.listed(raw, mirrored=version)
    await eventually(lambda: ("octojobs", "a") not in shelf.rig.api.objects)
    assert shelf.rig.api.writes[-1] == "delete octojobs"


async def test_of_a_lost_archive_only_so_much_is_held_at_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archivist, "MOST_PENDING", 1)
    raws = [await shelf.put_aside(name) for name in ("a", "b")]
    assert [shelf.archivist.listed(raw, mirrored=-1) for raw in raws] == [True, False]
    await shelf.settled()
    assert shelf.archivist.listed(raws[1], mirrored=-1)


def test_a_delete_that_is_none_is_told_apart() -> None:
    def of(state: str = "Succeeded", **meta: Any) -> Raw:
        return {"metadata": meta, "status": {"state": state}}

    held: Raw = {"finalizers": ["x", ARCHIVE_FINALIZER]}
    leaving: Raw = {"deletionTimestamp": "2026-01-02T03:04:05Z"}
    assert parting(of(**held)) is Parting.LEFT
    assert parting(of(finalizers=["x"])) is Parting.LEFT, "whose finalizer it is makes no difference"
    assert parting(of(**held, **leaving)) is Parting.GONE
    assert parting(of("Running", **held, **leaving)) is Parting.UNSURE
    assert parting(of(finalizers=[])) is Parting.UNSURE
    assert parting(of()) is Parting.UNSURE


async def test_one_that_nothing_held_is_gone_only_if_it_is_not_there(shelf: Shelf) -> None:
    """What the main watch tells of one that is put aside, and what it tells of a deleted one, are the same then."""
    raw = await shelf.put_aside("a")
    before = {**raw, "metadata": {**raw["metadata"], "labels": {}}}
    shelf.archivist.doubt(before)
    await shelf.settled()
    assert shelf.writer.deleted == []
    assert shelf.writer.versions["a"] == raw["metadata"]["resourceVersion"]
    del shelf.rig.api.objects[("octojobs", "a")]
    last = {**before, "metadata": {**before["metadata"], "resourceVersion": "99999"}}
    shelf.archivist.doubt(last)
    await shelf.settled()
    assert (shelf.writer.deleted, shelf.writer.versions["a"]) == (["uid-a"], "99999"), "its last version is kept"


async def test_of_two_with_one_name_each_is_looked_for(shelf: Shelf) -> None:
    raw = await shelf.put_aside("a")
    later = {**raw, "metadata": {**raw["metadata"], "uid": "uid-later"}}
    shelf.rig.api.put(OCTOJOBS, later)
    shelf.archivist.doubt(raw)
    shelf.archivist.heard(later, False)
    await shelf.settled()
    assert shelf.writer.deleted == ["uid-a"]
