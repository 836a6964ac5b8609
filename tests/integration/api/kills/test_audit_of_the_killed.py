"""An api that is killed between a change and its audit row: the row comes, once, and tells what was done."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from octo_api.audit.log import GONE_AWAY, AuditLog
from octo_api.audit.repair import AuditRepair
from octo_api.metrics import Metrics
from octo_core.db.session import Database
from octo_core.domain.model import rfc3339
from octo_core.kube.client import KubeClient
from octo_core.settings import DatabaseSettings
from tests.integration.api.conftest import PEPPER, PROVIDER_SPEC, PROVIDERS, Keys
from tests.integration.api.kills.conftest import Rig
from tests.support.fake_kube import FakeKube
from tests.support.mortal_api import mortal_api
from tests.support.waiting import until

Ask = Callable[[int, dict[str, str]], Awaitable[httpx.Response]]
Prepare = Callable[[int], Awaitable[None]]
Done = Callable[[int], Awaitable[bool]]


@pytest.fixture
async def repair(rig: Rig, database: Database, tmp_path: Path) -> AsyncIterator[AuditRepair]:
    """Of a process that comes after the killed ones, and waits for nothing."""
    kube = await KubeClient.connect(str(tmp_path / "kubeconfig"))

    def now() -> datetime:
        return datetime.now(UTC)

    metrics = Metrics()
    yield AuditRepair(
        database, kube, AuditLog(clock=now, metrics=metrics), metrics=metrics, clock=now, older_than=timedelta(0)
    )
    await kube.close()


@dataclass(slots=True)
class Killed:
    """Kills the api in the middle of one request, a step later each time, and looks at the audit log afterwards."""

    rig: Rig
    repair: AuditRepair

    async def at_each_step(self, ask: Ask, done: Done, prepare: Prepare | None = None) -> set[str]:
        """Whether what was done has one row, and what was not done none that says otherwise; what the rows said."""
        self.rig.killer.before = True
        findings: set[str] = set()
        for number in count(1):
            if prepare is not None:
                await prepare(number)
            request_id = f"request-{number}"
            self.rig.killer.arm(number)
            try:
                status = (await ask(number, {"X-Request-Id": request_id})).status_code
            except httpx.TransportError:
                status = None
            killed = self.rig.killer.killed
            self.rig.killer.disarm()
            # The api waits a second for its row: on a slow machine an answer may go out before the kill.
            assert killed or status is not None, "no answer, and nobody killed it"
            if killed:
                await self.rig.api.start()
            else:
                await self.row(request_id)
            await self.repair.round()
            was_done = await done(number)
            rows = await self.rows(request_id)
            assert len(rows) <= 1
            assert rows or not was_done, "a gap"
            assert not await self.rig.rows("SELECT id FROM audit_intents")
            assert await self.repair.round() == 0
            if not killed:
                assert status is not None
                assert status < 300
                assert [row.status for row in rows] == [status]
                assert "interrupted" not in rows[0].details
                return findings
            for row in rows:
                assert (row.actor, row.outcome) == ("tester", "Allowed")
                if row.status == GONE_AWAY:
                    assert row.details["interrupted"] == {"Done" if was_done else "NotDone": 1}
                    findings |= row.details["interrupted"].keys()
        raise AssertionError

    async def row(self, request_id: str) -> None:
        """Wait until there is a row of a request that was answered."""
        await until(lambda: self.rows(request_id), what=f"the row of {request_id}")

    async def rows(self, request_id: str) -> list[Any]:
        """Those of a request."""
        return await self.rig.rows(
            "SELECT actor, action, outcome, status, resource, details FROM audit_log WHERE request_id = :id",
            id=request_id,
        )


@pytest.fixture
def killed(rig: Rig, repair: AuditRepair) -> Killed:
    return Killed(rig, repair)


async def test_a_change_of_a_run(killed: Killed) -> None:
    rig = killed.rig
    runs: dict[int, str] = {}

    async def prepare(number: int) -> None:
        runs[number] = (await rig.post("/v1/jobs", {"provider": "acme"}, f"run-{number}"))["id"]

    async def ask(number: int, headers: dict[str, str]) -> httpx.Response:
        return await rig.client.post(f"/v1/jobs/{runs[number]}:cancel", headers=headers)

    async def done(number: int) -> bool:
        (job,) = (job for job in rig.kube.of_kind("octojobs") if job["metadata"]["uid"] == runs[number])
        return "cancel" in job["spec"]

    assert await killed.at_each_step(ask, done, prepare) == {"Done", "NotDone"}


async def test_a_deletion_of_a_run(killed: Killed) -> None:
    rig = killed.rig
    runs: dict[int, str] = {}

    async def prepare(number: int) -> None:
        runs[number] = (await rig.post("/v1/jobs", {"provider": "acme"}, f"run-{number}"))["id"]

    async def ask(number: int, headers: dict[str, str]) -> httpx.Response:
        return await rig.client.delete(f"/v1/jobs/{runs[number]}", headers=headers)

    async def done(number: int) -> bool:
        found = [job for job in rig.kube.of_kind("octojobs") if job["metadata"]["uid"] == runs[number]]
        return not found or "deletionTimestamp" in found[0]["metadata"]

    assert await killed.at_each_step(ask, done, prepare) == {"Done", "NotDone"}


async def test_a_new_provider(killed: Killed) -> None:
    rig = killed.rig
    # By its time a provider is known to be none of before.
    rig.kube.time = rfc3339(datetime.now(UTC))

    async def ask(number: int, headers: dict[str, str]) -> httpx.Response:
        body = {"name": f"new-{number}", "spec": PROVIDER_SPEC}
        return await rig.client.post("/v1/providers", json=body, headers=headers)

    async def done(number: int) -> bool:
        return f"{PROVIDERS}/new-{number}" in rig.kube.objects

    assert await killed.at_each_step(ask, done) == {"Done", "NotDone"}


async def test_a_run_of_its_own(killed: Killed) -> None:
    """The claim stays, so the sweeper would make the run: what is not decided yet has no row yet."""
    rig = killed.rig

    async def ask(number: int, headers: dict[str, str]) -> httpx.Response:
        return await rig.client.post(
            "/v1/jobs", json={"provider": "acme"}, headers={**headers, "Idempotency-Key": f"key-{number}"}
        )

    rig.killer.before = True
    for number in count(1):
        headers = {"X-Request-Id": f"request-{number}"}
        rig.killer.arm(number)
        try:
            first: httpx.Response | None = await ask(number, headers)
        except httpx.TransportError:
            first = None
        killed_ = rig.killer.killed
        rig.killer.disarm()
        if killed_:
            await rig.api.start()
        before = await rig.rows("SELECT id FROM audit_intents")
        # Asked again, the run is there; then all is decided.
        again = await ask(number, {"X-Request-Id": f"repeat-{number}"})
        assert again.status_code == 202
        await killed.row(f"repeat-{number}")
        if not killed_:
            await killed.row(f"request-{number}")
        await killed.repair.round()
        assert not await rig.rows("SELECT id FROM audit_intents")
        rows = await killed.rows(f"request-{number}")
        assert len(rows) <= 1
        assert len(await killed.rows(f"repeat-{number}")) == 1
        for row in rows:
            if row.status == GONE_AWAY:
                assert (row.details["interrupted"], row.resource) == ({"Done": 1}, again.json()["id"])
        if before:
            assert len(rows) == 1
        if not killed_:
            assert first is not None
            assert [row.status for row in rows] == [202]
            assert number >= 5
            return


async def test_a_key(killed: Killed) -> None:
    """What is made in Postgres alone is made together with the intent."""
    rig = killed.rig

    async def ask(number: int, headers: dict[str, str]) -> httpx.Response:
        body = {"subject": f"holder-{number}", "scopes": ["jobs:read"], "namespaces": ["octo"]}
        return await rig.client.post("/v1/api-keys", json=body, headers=headers)

    async def done(number: int) -> bool:
        return bool(await rig.rows("SELECT id FROM api_keys WHERE subject = :who", who=f"holder-{number}"))

    assert await killed.at_each_step(ask, done) == {"Done"}


async def test_a_new_process_looks(
    mother: subprocess.Popen[bytes],
    rig: Rig,
    database_settings: DatabaseSettings,
    kube: FakeKube,
    keys: Keys,
    tmp_path: Path,
) -> None:
    """Without being asked: the row is there some time after the next start."""
    run = (await rig.post("/v1/jobs", {"provider": "acme"}, "run"))["id"]
    # Steps: the intent, the change of the OctoJob.
    rig.killer.arm(2)
    with pytest.raises(httpx.TransportError):
        await rig.client.post(f"/v1/jobs/{run}:cancel", headers={"X-Request-Id": "cut-off"})
    rig.killer.disarm()
    assert len(await rig.rows("SELECT id FROM audit_intents")) == 1
    async with mortal_api(
        mother,
        database_url=database_settings.database_url.get_secret_value(),
        kubeconfig=kube.write_kubeconfig(tmp_path / "kubeconfig"),
        pepper=PEPPER,
        log=tmp_path / "second.log",
        request_timeout_seconds=0.5,
        audit_repair_after_seconds=0.5,
        sweep_interval_seconds=0.2,
    ):

        async def repaired() -> list[Any]:
            return await rig.rows("SELECT * FROM audit_log WHERE request_id = 'cut-off'")

        (row,) = await until(repaired, what="the row of the request that was cut off")
    assert (row.action, row.resource, row.status, row.namespace) == ("jobs.cancel", run, GONE_AWAY, "octo")
    assert row.details["interrupted"] == {"Done": 1}
