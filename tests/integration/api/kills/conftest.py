"""An api that is killed between any two steps of what it was asked for, started again, and asked once more.

A step is a commit in Postgres or a write to the Kubernetes API: what is under way between them leaves nothing behind.
Each operation is done again and again, and killed one step later each time, until it comes through: so no test knows
how many steps there are, or in how many groups requests are written.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from sqlalchemy import text

from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.integration.api.conftest import PEPPER, Keys
from tests.support.fake_kube import FakeKube
from tests.support.mortal_api import MortalApi, mortal_api, mother_of_apis
from tests.support.postgres import PostgresServer
from tests.support.postgres_steps import PostgresSteps, When, postgres_steps

OF_REQUESTS = frozenset({"idempotency_keys", "bulk_cancels", "jobs", "audit_intents", "audit_log"})
"""Tables that only requests write, as these tests have it."""
SUBJECT = "tester"


class Killer:
    """Kills the api when it reaches a step."""

    def __init__(self, api: MortalApi) -> None:
        self._api = api
        self.before = False
        """Whether it is a step also when a commit is asked for, and not yet done: what was written then is undone."""
        self._left: int | None = None
        self.reached = 0
        """Steps since it was armed, the last one included."""
        self.killed = False

    def arm(self, number: int) -> None:
        """Kill at the step of that number."""
        self._left, self.reached, self.killed = number, 0, False

    def disarm(self) -> None:
        """Let it live."""
        self._left = None

    def step(self) -> bool:
        """A step is reached; true if the api is dead now, and what it does there has to be lost."""
        if self._left is None or self.killed:
            return self.killed and self._left is not None
        self.reached += 1
        if self.reached == self._left:
            self._api.kill()
            self.killed = True
        return self.killed

    async def postgres(self, tables: frozenset[str], when: When) -> None:
        """After each commit, and before it if that was asked for."""
        if tables & OF_REQUESTS and (self.before or when == "after") and self.step():
            raise ConnectionError("killed")

    def kube(self, request: web.Request) -> int | None:
        """After each write of an object of Octo's."""
        return 0 if request.method != "GET" and "octo.dev" in request.path and self.step() else None


@dataclass(slots=True)
class Rig:
    """An api that can be killed, and what stands behind it."""

    api: MortalApi
    killer: Killer
    kube: FakeKube
    database: Database
    client: httpx.AsyncClient

    async def killed_at_each_step(
        self, ask: Callable[[int], Awaitable[Any]], check: Callable[[int, Any], Awaitable[None]]
    ) -> int:
        """Ask for a new thing each time, killed one step later; ``check`` sees what the repeat answers.

        Returns how often it was killed before it came through.
        """
        for number in count(1):
            self.killer.arm(number)
            try:
                first = await ask(number)
            except httpx.TransportError:
                first = None
            killed = self.killer.killed
            self.killer.disarm()
            assert killed or first is not None, "no answer, and nobody killed it"
            if killed:
                await self.api.start()
            second = await ask(number)
            await check(number, second)
            assert await ask(number) == second, "one answer, however often"
            # There is one also of an api that died while its audit row was late: the answer waits a second for it.
            assert first is None or second == first
            if not killed:
                return number - 1
        raise AssertionError

    async def post(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """A request with an Idempotency-Key, and its good answer."""
        answer = await self.client.post(path, json=body, headers={"Idempotency-Key": key})
        assert answer.status_code in (200, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def rows(self, statement: str, **values: object) -> list[Any]:
        """Of the database, past the proxy."""
        async with self.database.transaction() as session:
            return list(await session.execute(text(statement), values))

    async def check_run(self, key: str, uid: str) -> None:
        """One OctoJob came of the key, and everything that tells of it names that one."""
        hashed = hashlib.sha256(f"{SUBJECT}\0{key}".encode()).hexdigest()
        made = [job for job in self.kube.of_kind("octojobs") if job["spec"]["idempotency"]["keyHash"] == hashed]
        assert [job["metadata"]["uid"] for job in made] == [uid]
        claims = await self.rows("SELECT job_uid FROM idempotency_keys WHERE key_hash = :hashed", hashed=hashed)
        assert [claim.job_uid for claim in claims] == [uid]
        runs = await self.rows("SELECT uid FROM jobs WHERE idempotency_key_hash = :hashed", hashed=hashed)
        assert [run.uid for run in runs] == [uid]
        events = await self.rows("SELECT type FROM events WHERE job_uid = :uid", uid=uid)
        assert [event.type for event in events] == ["job.created"]

    async def check_audit(self, action: str, number: int) -> None:
        """Each answer that was given has its row; one that nobody got may have one too."""
        found = await self.rows("SELECT count(*) AS n FROM audit_log WHERE action = :action", action=action)
        assert found[0].n >= 2 * (number - 1) + 1


@pytest.fixture(scope="module")
def mother() -> Iterator[subprocess.Popen[bytes]]:
    with mother_of_apis() as process:
        yield process


@pytest.fixture
async def rig(
    mother: subprocess.Popen[bytes],
    database_settings: DatabaseSettings,
    database: Database,
    postgres: PostgresServer,
    kube: FakeKube,
    tmp_path: Path,
) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        steps: PostgresSteps = await stack.enter_async_context(postgres_steps(postgres.port))
        url = database_settings.database_url.get_secret_value()
        api = await stack.enter_async_context(
            mortal_api(
                mother,
                database_url=url.replace(f":{postgres.port}/", f":{steps.port}/"),
                kubeconfig=kube.write_kubeconfig(tmp_path / "kubeconfig"),
                pepper=PEPPER,
                log=tmp_path / "api.log",
                sweep_after_seconds=3600,
                log_archive_interval_seconds=3600,
            )
        )
        killer = Killer(api)
        steps.hook, kube.fault_after = killer.postgres, killer.kube
        key = await Keys(database).make(subject=SUBJECT)
        client = httpx.AsyncClient(base_url=api.url, headers={"X-API-Key": key.text}, timeout=240)
        await stack.enter_async_context(client)
        yield Rig(api, killer, kube, database, client)
        killer.disarm()
