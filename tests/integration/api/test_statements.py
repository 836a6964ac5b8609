"""What a list costs does not grow with what it shows: the same statements, and the same calls to the cluster."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import event, insert

from octo_core.db.session import Database
from octo_core.db.tables import JobFileRow
from tests.integration.api.conftest import PROVIDER_SPEC, PROVIDERS, Api
from tests.support.fake_kube import FakeKube

STATEMENTS: ContextVar[list[str] | None] = ContextVar("statements", default=None)
"""Those of the request at hand. Work beside the requests has none."""
LISTS = (
    "/v1/jobs",
    "/v1/jobs?state=Pending&sort=createdAt",
    "/v1/jobs?fields=id",
    "/v1/jobs/{uid}",
    "/v1/jobs/{uid}/files",
    "/v1/jobs/{uid}/events",
    "/v1/events",
    "/v1/audit",
    "/v1/api-keys",
    "/v1/providers",
    "/v1/providers/acme/ledger",
)


@pytest.fixture
def counted(api: Api) -> None:
    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements = STATEMENTS.get()
        # A key is looked up once in a while, whoever asks for what.
        if statements is not None and "api_keys.id = " not in statement:
            statements.append(statement)

    event.listen(api.app.state.services.database._engine.sync_engine, "before_cursor_execute", note)


async def make_run(client: httpx.AsyncClient, number: int) -> str:
    """Its id."""
    answer = await client.post("/v1/jobs", json={"provider": "acme", "labels": {"number": f"n{number}"}})
    return str(answer.json()["id"])


async def make_more(client: httpx.AsyncClient, api: Api, kube: FakeKube, database: Database, uid: str) -> None:
    """Eighteen more of everything, and files of this run."""
    for number in range(18):
        kube.put(f"{PROVIDERS}/more-{number}", {"spec": PROVIDER_SPEC})
        await api.keys.make("jobs:read")
        await make_run(client, number)
        row = {
            "job_uid": uid,
            "source_path": f"/in/{number}.csv",
            "member": "",
            "attempt": 1,
            "outcome": "Stored",
            "source_size": 1,
            "finished_at": datetime.now(UTC),
        }
        async with database.transaction() as session:
            await session.execute(insert(JobFileRow).values(row))


async def costs(client: httpx.AsyncClient, kube: FakeKube, uid: str) -> dict[str, tuple[list[str], int]]:
    """Of each list: its statements, and how many calls it makes."""
    found = {}
    for path in LISTS:
        before = len([path for _, path in kube.requests if "octo.dev" in path])
        token = STATEMENTS.set([])
        answer = await client.get(path.format(uid=uid), headers={"Accept": "application/json"})
        statements = STATEMENTS.get()
        STATEMENTS.reset(token)
        assert answer.status_code == 200, answer.text
        assert statements is not None
        found[path] = (statements, len([path for _, path in kube.requests if "octo.dev" in path]) - before)
    return found


@pytest.mark.usefixtures("counted")
async def test_more_on_a_page_are_no_more_statements(
    api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database
) -> None:
    uid = await make_run(admin, 100)
    few = await costs(admin, kube, uid)
    await make_more(admin, api, kube, database, uid)
    assert await costs(admin, kube, uid) == few
    # Of a list, one is for the namespaces that there are.
    assert [len(statements) for statements in (few["/v1/jobs/{uid}"][0], few["/v1/jobs?fields=id"][0])] == [1, 2]
