"""The composition: what is heard and listed reaches cache, queue and mirror."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from pydantic import SecretStr

from octo_controller import app
from octo_controller.app import Controller
from octo_controller.engine.lease import LeaseLostError
from octo_controller.intake import ASIDE
from octo_controller.leadership import Leadership, lease_of, rivals_of
from octo_controller.metrics import declared
from octo_controller.reconcile.world import Kind
from octo_controller.settings import ControllerSettings
from octo_core.db.session import Database
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_ARCHIVED
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import JOBS, LEASES, OCTOJOBS
from tests.unit.octo_controller.fake_api import FakeApi
from tests.unit.octo_controller.reconcile.merging import merged

Raw = dict[str, Any]

# Nothing listens there: Postgres is away for the whole of these tests.
SETTINGS = ControllerSettings(
    lease_retry_seconds=0.05,
    database_url=SecretStr("postgresql://octo@127.0.0.1:1/octo"),
    worker_image="worker:1",
    health_host="127.0.0.1",
    health_port=0,
)


def octojob(name: str, **status: Any) -> Raw:
    meta = {"namespace": "octo", "name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {"metadata": meta, "spec": {"providerRef": {"name": "bank"}}, "status": status}


class ClosedDoor:
    """A door behind which kopf ends at once."""

    def __init__(self, *_: Any, on_exit: Callable[[], None], **__: Any) -> None:
        self._on_exit = on_exit

    def open(self) -> None:
        asyncio.get_running_loop().call_later(0.05, self._on_exit)

    async def close(self) -> None: ...


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(240):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


class OpenDoor:
    """A door through which nothing comes."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def open(self) -> None: ...

    async def close(self) -> None: ...


def lease_held_by(holder: str) -> Raw:
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.000000Z",
        "renewTime": "2026-01-02T03:04:05.000000Z",
        "leaseTransitions": 3,
    }
    return {"metadata": {"namespace": "octo", "name": "octo-controller-0"}, "spec": spec}


@pytest.fixture(autouse=True)
def _door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Door", ClosedDoor)


def leadership_of(api: FakeApi, end: Callable[[str], object]) -> Leadership:
    client = cast(KubeClient, api)
    return Leadership(lease_of(SETTINGS, client), rivals_of(SETTINGS, client), end=end)


@pytest.fixture
async def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    database = Database(SETTINGS, application_name="test")
    yield database
    await database.close()


@pytest.fixture
async def controller(api: FakeApi, database: Database) -> Controller:
    leadership = leadership_of(api, lambda why: None)
    controller = Controller(SETTINGS, cast(KubeClient, api), database, leadership, unfenced=cast(KubeClient, api))
    controller.projector.accepting = controller.queue.accepting = True
    return controller


async def test_a_resync_finds_what_came_and_what_went_without_a_word(controller: Controller, api: FakeApi) -> None:
    assert await controller._leadership.lease.try_acquire()
    api.put(OCTOJOBS, octojob("a"))
    api.put(OCTOJOBS, octojob("b"))
    assert await controller.intake.sync() is False, "Postgres is away, so the rows are swept later"
    assert {job.meta.name for job in controller.world.jobs} == {"a", "b"}
    assert controller.queue.depth == 2
    assert controller.projector.pending == 2
    del api.objects[("octojobs", "a")]
    await controller.intake.sync()
    assert {job.meta.name for job in controller.world.jobs} == {"b"}
    assert controller.projector.pending == 3, "and the row of the vanished one is to be marked"


async def test_one_that_nobody_can_make_anything_of_keeps_no_other_from_being_listed(
    controller: Controller, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put_aside(raw: Raw) -> None:
        raise ArithmeticError("no such number")

    monkeypatch.setattr(controller.world, "put_aside", put_aside)
    assert await controller._leadership.lease.try_acquire()
    api.put(OCTOJOBS, merged(octojob("a", state="Failed"), {"metadata": {"labels": {LABEL_ARCHIVED: "true"}}}))
    api.put(OCTOJOBS, octojob("b"))
    await controller.intake.sync()
    assert {job.meta.name for job in controller.world.jobs} == {"b"}


async def test_a_delete_that_is_heard_keeps_the_last_version_for_the_mirror(controller: Controller) -> None:
    raw = octojob("a", state="Succeeded")
    raw["metadata"] |= {"resourceVersion": "9", "deletionTimestamp": "2026-01-02T03:04:06Z"}
    controller.intake.event("OctoJob", raw, True)
    assert controller.world.jobs.get("a") is None
    assert controller.projector.pending == 2


async def test_one_without_a_finalizer_that_leaves_the_selector_is_looked_for_before_it_counts_as_gone(
    controller: Controller, api: FakeApi
) -> None:
    assert await controller._leadership.lease.try_acquire()
    controller._archivist.accepting = True
    controller._archivist.start()
    for name in ("a", "b"):
        api.put(OCTOJOBS, octojob(name, state="Failed", completionTime="2026-01-02T04:00:00Z"))
    await controller.intake.sync()
    for name in ("a", "b"):
        labelled = octojob(name, state="Failed", completionTime="2026-01-02T04:00:00Z")
        labelled["metadata"]["labels"] = {LABEL_ARCHIVED: "true"}
        version = api.put(OCTOJOBS, labelled)["metadata"]["resourceVersion"]
        if name == "b":
            del api.objects[("octojobs", "b")]
        last = octojob(name, state="Failed", completionTime="2026-01-02T04:00:00Z")
        last["metadata"]["resourceVersion"] = version
        controller.intake.event("OctoJob", last, True)
    await controller._archivist.queue.idle()
    assert [job.meta.name for job in controller.world.jobs] == []
    assert list(controller.projector._deleted) == ["uid-b"]
    await controller._archivist.queue.close(timeout=0)


async def test_one_that_is_put_aside_leaves_and_is_not_taken_for_gone(controller: Controller, api: FakeApi) -> None:
    assert await controller._leadership.lease.try_acquire()
    ended = "2026-01-02T04:00:00Z"
    for name, at in (("a", ended), ("b", "2026-01-02T03:59:59Z"), ("c", "2026-01-02T04:00:01Z")):
        raw = octojob(name, state="Failed", completionTime=at)
        raw["metadata"]["finalizers"] = [ARCHIVE_FINALIZER]
        api.put(OCTOJOBS, raw)
    await controller.intake.sync()
    last = {**api.objects[("octojobs", "a")]}
    last["metadata"] = {**last["metadata"], "resourceVersion": "99"}
    controller.intake.event("OctoJob", last, True)
    assert {job.meta.name for job in controller.world.jobs} == {"b", "c"}
    assert controller.projector.pending == 3, "no row is marked"
    assert [run.meta.name for run in controller.world.runs_of("bank")] == ["c"], "b ended before what left"
    labelled = octojob("c", state="Failed", completionTime=ended)
    labelled["metadata"]["labels"] = {LABEL_ARCHIVED: "true"}
    api.put(OCTOJOBS, labelled)
    await controller.intake.sync()
    assert {job.meta.name for job in controller.world.jobs} == {"a", "b"}, (
        "the label went from one, and came to another"
    )


async def test_a_commit_brings_back_only_runs_that_are_over_and_not_archived(controller: Controller) -> None:
    condition = {"type": "Archived", "status": "True"}
    for name, status in (
        ("running", {"state": "Running"}),
        ("over", {"state": "Failed"}),
        ("archived", {"state": "Failed", "conditions": [condition]}),
    ):
        controller._committed(octojob(name, **status))
    assert controller.queue.depth == 1
    leaving = octojob("leaving", state="Failed", conditions=[condition])
    leaving["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    controller._committed(leaving)
    assert controller.queue.depth == 2


async def test_a_silent_watch_fails_the_liveness_probe(controller: Controller) -> None:
    checks = controller._live_checks()
    controller.intake.begin()
    assert checks["watch"]() is None
    controller.intake._heard_at -= SETTINGS.watch_silence_seconds + 1
    assert "nothing heard" in (checks["watch"]() or "")
    raw = octojob("a")
    raw["metadata"]["resourceVersion"] = "3"
    controller.intake.event("OctoJob", raw, False)
    assert checks["watch"]() is None


async def test_a_watch_that_says_that_nothing_changed_is_not_silent(controller: Controller) -> None:
    """All that a standby hears in a quiet night, since it lists nothing by itself."""
    check = controller._live_checks()["watch"]
    controller.intake.begin()
    controller.intake._heard_at -= SETTINGS.watch_silence_seconds + 1
    controller.intake.reached(ASIDE, 7)
    assert check() is None
    assert controller.intake.silence() < SETTINGS.watch_silence_seconds


async def test_a_watch_that_keeps_a_change_to_itself_fails_the_liveness_probe(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    for follower in controller.intake._followers.values():
        monkeypatch.setattr(follower, "_clock", lambda: now)
    checks = controller._live_checks()
    controller.intake.begin()
    raw = octojob("a")
    raw["metadata"]["resourceVersion"] = "3"
    controller.world.saw(Kind.JOB, raw, own=True)
    now = SETTINGS.watch_behind_seconds + 1
    assert "silent about a change" in (checks["watch"]() or "")
    controller.intake.event("OctoJob", raw, False)
    assert checks["watch"]() is None


@pytest.mark.parametrize("label", [None, LABEL_ARCHIVED])
async def test_a_watch_owes_nothing_that_was_listed_before_it_began(
    controller: Controller, api: FakeApi, monkeypatch: pytest.MonkeyPatch, label: str | None
) -> None:
    """Of Jobs and of what is put aside, that are not changed for minutes after a start."""
    now = 0.0
    for follower in controller.intake._followers.values():
        monkeypatch.setattr(follower, "_clock", lambda: now)
    assert await controller._leadership.lease.try_acquire()
    if label is None:
        meta = {"name": "a-1", "uid": "uid-a-1", "creationTimestamp": "2026-01-02T03:04:05Z"}
        api.put(JOBS, {"metadata": meta})
    else:
        raw = octojob("a", state="Failed", completionTime="2026-01-02T04:00:00Z")
        api.put(OCTOJOBS, merged(raw, {"metadata": {"labels": {label: "true"}}}))
    api.version += 100  # of other kinds
    controller.intake.begin()
    await controller.intake.sync()
    controller._streams.open()
    await until(lambda: api.watches == 2)
    now = SETTINGS.watch_behind_seconds + 1
    assert controller._live_checks()["watch"]() is None
    await controller._streams.close()


async def test_the_watch_of_what_is_put_aside_fails_the_liveness_probe_like_the_other(
    controller: Controller, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    for follower in controller.intake._followers.values():
        monkeypatch.setattr(follower, "_clock", lambda: now)
    assert await controller._leadership.lease.try_acquire()
    controller.intake.begin()
    await controller.intake.sync()
    controller._streams.open()
    await until(lambda: api.watches == 2)
    raw = octojob("a", state="Failed", completionTime="2026-01-02T04:00:00Z")
    raw = api.put(OCTOJOBS, merged(raw, {"metadata": {"labels": {LABEL_ARCHIVED: "true"}}}))
    check = controller._live_checks()["watch"]
    controller._archivist._wrote(raw)
    now += SETTINGS.watch_behind_seconds + 1
    assert "silent about a change" in (check() or ""), "it owes what we wrote"
    controller.intake.reached(ASIDE, api.version)
    assert check() is None
    api.put(OCTOJOBS, raw)
    await controller.intake.sync()
    now += SETTINGS.watch_behind_seconds + 1
    assert "silent about a change" in (check() or ""), "and what is listed"
    controller.intake.reached(ASIDE, api.version)
    assert check() is None
    await controller._streams.close()


async def test_what_the_watch_of_jobs_missed_is_listed(controller: Controller, api: FakeApi) -> None:
    def job(name: str) -> Raw:
        owner = {"kind": "OctoJob", "name": "a", "uid": "uid-a", "controller": True}
        meta = {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-01-02T03:04:05Z"}
        return {"metadata": {**meta, "ownerReferences": [owner]}}

    assert await controller._leadership.lease.try_acquire()
    api.put(JOBS, job("a-1"))
    await controller.intake.sync()
    del api.objects[("jobs", "a-1")]
    api.put(JOBS, job("a-2"))
    api.gaps = 2
    controller._streams.open()
    await until(lambda: [child.name for child in controller.world.children] == ["a-2"])
    assert any(listed.startswith("jobs octo.dev/job-uid") for listed in api.lists)
    await controller._streams.close()
    assert not controller._stopped.is_set()


async def test_it_is_ready_once_everything_is_listed(controller: Controller) -> None:
    checks = controller._ready_checks()
    assert checks["sync"]() is not None
    assert await controller._leadership.lease.try_acquire()
    await controller._take_over([])
    assert checks["sync"]() is None
    await controller.queue.close(timeout=5)


async def test_it_ends_and_says_so_when_nobody_watches_any_more(controller: Controller) -> None:
    async with asyncio.timeout(240):
        assert await controller.run() is False


async def test_nothing_is_visited_before_all_is_listed(controller: Controller, api: FakeApi) -> None:
    api.refuse_lists = True
    running = asyncio.create_task(controller.run())
    await asyncio.sleep(0.3)
    controller.queue.accepting = True
    controller.queue.add((Kind.JOB, "a"))
    await asyncio.sleep(0.1)
    assert controller.queue.depth == 1
    controller.stop()
    async with asyncio.timeout(240):
        assert await running is True


async def test_a_standby_is_ready_and_writes_nothing(
    controller: Controller, database: Database, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Door", OpenDoor)
    api.put(LEASES, lease_held_by("another"))
    api.put(OCTOJOBS, octojob("a"))
    standby = Controller(
        SETTINGS, cast(KubeClient, api), database, controller._leadership, unfenced=cast(KubeClient, api)
    )
    running = asyncio.create_task(standby.run())
    await until(lambda: standby._ready_checks()["sync"]() is None)
    assert [job.meta.name for job in standby.world.jobs] == ["a"], "it knows what there is"
    assert standby.projector.pending == 0
    assert api.writes == []
    with pytest.raises(LeaseLostError):
        controller._leadership.fence()
    standby.stop()
    async with asyncio.timeout(240):
        assert await running is True
    assert api.objects[("leases", "octo-controller-0")]["spec"]["holderIdentity"] == "another"


async def test_a_standby_has_no_work_that_waits_and_visits_all_once_it_leads(
    controller: Controller, database: Database, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody works on would grow older than any alert or probe allows."""
    monkeypatch.setattr(app, "Door", OpenDoor)
    api.put(LEASES, lease_held_by("another"))
    raw = api.put(OCTOJOBS, octojob("a"))
    standby = Controller(
        SETTINGS, cast(KubeClient, api), database, controller._leadership, unfenced=cast(KubeClient, api)
    )
    running = asyncio.create_task(standby.run())
    await until(lambda: standby._ready_checks()["sync"]() is None)
    raw["metadata"]["resourceVersion"] = "90"
    standby.intake.event("OctoJob", raw, False)
    assert (standby.queue.depth, standby.queue.oldest_age(), standby.queue.stuck(0)) == (0, 0, 0)
    api.put(LEASES, lease_held_by(""))
    await until(lambda: "patch octojobs/status" in api.writes)
    standby.stop()
    async with asyncio.timeout(240):
        assert await running is True


async def test_a_leader_releases_its_lease_after_everything_else(
    controller: Controller, database: Database, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "Door", OpenDoor)
    api.put(OCTOJOBS, octojob("a"))
    leader = Controller(
        SETTINGS, cast(KubeClient, api), database, controller._leadership, unfenced=cast(KubeClient, api)
    )
    running = asyncio.create_task(leader.run())
    await until(lambda: "patch octojobs/status" in api.writes)
    leader.stop()
    async with asyncio.timeout(240):
        assert await running is True
    assert api.writes[0] == "create leases"
    assert api.writes[-1] == "patch leases"
    assert api.objects[("leases", "octo-controller-0")]["spec"]["holderIdentity"] == ""


async def test_a_leader_that_is_replaced_ends_at_once_and_writes_no_more(api: FakeApi) -> None:
    ended: list[str] = []
    leadership = leadership_of(api, ended.append)
    assert await leadership.try_lead()
    leadership.fence()
    api.put(LEASES, {**api.objects[("leases", "octo-controller-0")], **lease_held_by("another")})
    await until(lambda: ended)
    assert "another holds it now" in ended[0]
    with pytest.raises(LeaseLostError):
        leadership.fence()
    assert leadership.unwell() == "the lease is lost"
    await leadership.leave()
    assert api.objects[("leases", "octo-controller-0")]["spec"]["holderIdentity"] == "another"


async def test_every_metric_that_is_declared_is_there(controller: Controller) -> None:
    told, promised = (
        {family.name for family in metrics.registry.collect()} for metrics in (controller.metrics, declared())
    )
    assert told == promised
