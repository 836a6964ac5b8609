"""The Python client against the application that it was made from."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

import octo_client
from octo_client import AsyncClient, ProblemError, models
from octo_core.db.session import Database
from octo_core.db.tables import JobFileRow
from tests.integration.api.conftest import PROVIDER_SPEC, Api

DOCS = (Path(__file__).parents[3] / "docs" / "client.md").read_text()


@pytest.fixture
async def key(api: Api) -> str:
    return (await api.keys.make()).text


async def test_the_page_tells_the_truth(api: Api, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)

    def connected(url: str, *, api_key: str) -> AsyncClient:
        return AsyncClient(url, api_key=api_key, transport=httpx.ASGITransport(api.app))

    monkeypatch.setattr(octo_client, "AsyncClient", connected)
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert await names["fetch"]("http://api", key)


async def test_providers(api: Api, key: str) -> None:
    async with AsyncClient("http://api", api_key=key, transport=httpx.ASGITransport(api.app)) as octo:
        spec = models.OctoProviderSpec.model_validate(PROVIDER_SPEC)
        made = await octo.providers_create(models.ProviderRequest(name="bank", spec=spec))
        assert (made.name, made.type) == ("bank", "sftp")
        assert [item.name for item in (await octo.providers_list()).items] == ["acme", "bank"]
        changed = await octo.providers_patch("bank", {"labels": {"team": "fx"}})
        assert changed.labels == {"team": "fx"}
        with pytest.raises(ProblemError) as caught:
            await octo.providers_patch("bank", {"labels": {}}, if_match='"old"')
        assert (caught.value.problem.status, caught.value.problem.code) == (412, "precondition-failed")
        reset = await octo.providers_reset_ledger("bank", models.ResetRequest(paths=["in/a.csv"]))
        assert reset.items[0].known is False
        assert (await octo.providers_ledger("bank")).items == []
        await octo.providers_delete("bank")
        with pytest.raises(ProblemError):
            await octo.providers_get("bank")


async def test_what_is_no_document_is_text(api: Api, key: str, database: Database) -> None:
    async with AsyncClient("http://api", api_key=key, transport=httpx.ASGITransport(api.app)) as octo:
        job = await octo.jobs_create(models.JobRequest(provider="acme"))
        assert await octo.jobs_logs(job.id) == ""
        assert await octo.jobs_manifest(job.id) == ""
        row = {"job_uid": job.id, "source_path": "/in/ä.csv", "member": "", "attempt": 1, "outcome": "Stored"}
        async with database.transaction() as session:
            await session.execute(insert(JobFileRow).values(**row, source_size=1, finished_at=datetime.now(UTC)))
        assert json.loads(await octo.jobs_manifest(job.id))["sourcePath"] == "/in/ä.csv"
