"""The composition: what is heard and listed reaches cache, queue and mirror."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from pydantic import SecretStr

from octo_controller import app
from octo_controller.app import Controller
from octo_controller.reconcile.world import Kind
from octo_controller.settings import ControllerSettings
from octo_core.db.session import Database
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS
from tests.unit.octo_controller.fake_api import FakeApi

Raw = dict[str, Any]

# Nothing listens there: Postgres is away for the whole of these tests.
SETTINGS = ControllerSettings(
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


@pytest.fixture(autouse=True)
def _door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Door", ClosedDoor)


@pytest.fixture
async def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def controller(api: FakeApi) -> AsyncIterator[Controller]:
    database = Database(SETTINGS, application_name="test")
    yield Controller(SETTINGS, cast(KubeClient, api), database)
    await database.close()


async def test_a_resync_finds_what_came_and_what_went_without_a_word(controller: Controller, api: FakeApi) -> None:
    api.put(OCTOJOBS, octojob("a"))
    api.put(OCTOJOBS, octojob("b"))
    assert await controller._resync() is False, "Postgres is away, so the rows are swept later"
    assert {job.meta.name for job in controller.world.jobs} == {"a", "b"}
    assert controller.queue.depth == 2
    assert controller.projector.pending == 2
    del api.objects[("octojobs", "a")]
    await controller._resync()
    assert {job.meta.name for job in controller.world.jobs} == {"b"}
    assert controller.projector.pending == 3, "and the row of the vanished one is to be marked"


async def test_a_delete_that_is_heard_keeps_the_last_version_for_the_mirror(controller: Controller) -> None:
    raw = octojob("a", state="Succeeded")
    raw["metadata"]["resourceVersion"] = "9"
    controller._event("OctoJob", raw, True)
    assert controller.world.jobs.get("a") is None
    assert controller.projector.pending == 2


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
    controller._heard_at = asyncio.get_running_loop().time()
    assert checks["watch"]() is None
    controller._heard_at -= SETTINGS.watch_silence_seconds + 1
    assert "nothing heard" in (checks["watch"]() or "")
    controller._event(
        "OctoJob", {**octojob("a"), "metadata": {**octojob("a")["metadata"], "resourceVersion": "3"}}, False
    )
    assert checks["watch"]() is None


async def test_it_is_ready_once_everything_is_listed(controller: Controller) -> None:
    checks = controller._ready_checks()
    assert checks["sync"]() is not None
    await controller._first_sync()
    assert checks["sync"]() is None


async def test_it_ends_and_says_so_when_nobody_watches_any_more(controller: Controller) -> None:
    async with asyncio.timeout(5):
        assert await controller.run() is False


async def test_nothing_is_visited_before_all_is_listed(controller: Controller, api: FakeApi) -> None:
    api.refuse_lists = True
    running = asyncio.create_task(controller.run())
    await asyncio.sleep(0.3)
    controller.queue.add((Kind.JOB, "a"))
    await asyncio.sleep(0.1)
    assert controller.queue.depth == 1
    controller.stop()
    async with asyncio.timeout(5):
        assert await running is True
