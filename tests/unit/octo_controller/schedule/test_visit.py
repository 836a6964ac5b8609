"""From a tick to an OctoJob, on a fake API: what is written, and what a second look at the same tick does."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from octo_controller.engine.queue import RetryLaterError, WorkQueue
from octo_controller.metrics import Metrics
from octo_controller.mirror.projector import Projector, Writer
from octo_controller.reconcile.act import Actor
from octo_controller.reconcile.loop import Reconciler
from octo_controller.reconcile.manifest import PodSettings
from octo_controller.reconcile.model import REPLACED_BY
from octo_controller.reconcile.world import Key, Kind, World
from octo_core.domain.errors import ClusterUnavailableError
from octo_core.domain.names import ARCHIVE_FINALIZER, LABEL_SCHEDULE
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS, OCTOPROVIDERS
from tests.unit.octo_controller.builders import POLICY, SFTP_TO_S3
from tests.unit.octo_controller.fake_api import FakeApi

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
BANK = (Kind.PROVIDER, "bank")


class Rig:
    """A controller whose clock the test sets; its watch is ``sync``."""

    def __init__(self, **schedule: Any) -> None:
        self.api = FakeApi()
        queue: WorkQueue[Key] = WorkQueue()
        self.world = World(queue, Projector(cast(Writer, None), committed=lambda _: None))
        self.now = NOON - timedelta(minutes=1)
        self.metrics = Metrics()
        actor = Actor(cast(KubeClient, self.api), self.world, namespace="octo", pods=PodSettings(image="w"))
        self.reconciler = Reconciler(self.world, actor, policy=POLICY, clock=lambda: self.now, metrics=self.metrics)
        meta = {"namespace": "octo", "name": "bank", "uid": "uid-bank", "generation": 1}
        self.api.put(
            OCTOPROVIDERS,
            {
                "metadata": {**meta, "creationTimestamp": "2026-03-01T00:00:00Z"},
                "spec": {**SFTP_TO_S3, "schedule": {"cron": "0 * * * *", **schedule}},
            },
        )
        self.sync()

    def sync(self) -> None:
        self.world.saw(Kind.PROVIDER, self.api.objects[("octoproviders", "bank")])

    async def visit(self, at: datetime) -> float | None:
        self.now = at
        return await self.reconciler.visit(BANK)

    def created(self) -> list[str]:
        return sorted(name for plural, name in self.api.objects if plural == "octojobs")

    def status(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.api.objects[("octoproviders", "bank")]["status"]["schedule"])

    def ticks(self) -> Counter[str]:
        samples = next(m.samples for m in self.metrics.ticks.collect())
        return Counter({s.labels["outcome"]: int(s.value) for s in samples if s.name.endswith("_total")})


async def test_a_tick_makes_one_run_that_names_it() -> None:
    rig = Rig()
    assert await rig.visit(NOON - timedelta(minutes=1)) == 60
    assert rig.created() == []
    await rig.visit(NOON)
    assert rig.created() == ["bank-202603021200"]
    made = rig.api.objects[("octojobs", "bank-202603021200")]
    assert made["metadata"]["labels"][LABEL_SCHEDULE] == "bank"
    assert made["metadata"]["finalizers"] == [ARCHIVE_FINALIZER]
    assert made["spec"]["scheduleRef"] == {"name": "bank", "scheduledTime": "2026-03-02T12:00:00Z"}
    assert rig.status()["lastScheduledJob"] == "bank-202603021200"
    assert rig.status()["nextScheduleTime"] == "2026-03-02T13:00:00Z"
    writes = len(rig.api.writes)
    await rig.visit(NOON + timedelta(seconds=1))
    assert len(rig.api.writes) == writes, "nothing to write where nothing changed"
    assert rig.ticks() == {"Fired": 1}


async def test_who_died_before_the_status_was_written_makes_no_second_run() -> None:
    rig = Rig()
    await rig.visit(NOON - timedelta(minutes=1))
    rig.api.refuse["patch octoproviders/status"] = ClusterUnavailableError("away")
    with pytest.raises(RetryLaterError):
        await rig.visit(NOON)
    assert rig.created() == ["bank-202603021200"]
    assert "lastScheduleTime" not in rig.status()
    rig.api.refuse.clear()
    await rig.visit(NOON + timedelta(minutes=2))
    assert rig.created() == ["bank-202603021200"]
    assert rig.status()["lastScheduleTime"] == "2026-03-02T12:00:00Z"


async def test_a_tick_that_could_not_be_made_is_made_later() -> None:
    rig = Rig()
    await rig.visit(NOON - timedelta(minutes=1))
    rig.api.refuse["create octojobs"] = ClusterUnavailableError("away")
    with pytest.raises(RetryLaterError):
        await rig.visit(NOON)
    rig.api.refuse.clear()
    await rig.visit(NOON + timedelta(minutes=2))
    assert rig.created() == ["bank-202603021200"]


async def test_replace_cancels_the_run_that_is_not_over() -> None:
    rig = Rig(concurrencyPolicy="Replace")
    await rig.visit(NOON - timedelta(minutes=1))
    await rig.visit(NOON)
    await rig.visit(NOON + timedelta(hours=1))
    first = rig.api.objects[("octojobs", "bank-202603021200")]
    assert first["spec"]["cancel"]["requestedBy"] == REPLACED_BY
    assert first["spec"]["cancel"]["reason"] == "replaced by bank-202603021300"
    assert rig.created() == ["bank-202603021200", "bank-202603021300"]
    assert "cancel" not in rig.api.objects[("octojobs", "bank-202603021300")]["spec"]


async def test_forbid_says_why_a_tick_made_no_run() -> None:
    rig = Rig()
    await rig.visit(NOON - timedelta(minutes=1))
    await rig.visit(NOON)
    await rig.visit(NOON + timedelta(hours=1))
    assert rig.created() == ["bank-202603021200"]
    assert rig.status()["lastSkipped"]["reason"] == "Busy"
    assert rig.ticks() == {"Fired": 1, "Busy": 1}


@pytest.mark.parametrize("cron", ["61 * * * *", "0 0 31 4 *"])
async def test_a_bad_expression_is_told_in_a_condition(cron: str) -> None:
    rig = Rig(cron=cron)
    assert await rig.visit(NOON) is None
    conditions = {c["type"]: c for c in rig.api.objects[("octoproviders", "bank")]["status"]["conditions"]}
    assert conditions["ScheduleValid"]["status"] == "False"
    assert conditions["ScheduleValid"]["reason"] == "InvalidCron"
    assert "Ready" in conditions
    assert OCTOJOBS.plural not in " ".join(rig.api.writes)
