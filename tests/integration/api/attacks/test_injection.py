"""Text that means something to SQL, paths or terminals is data wherever it is sent, and changes nothing."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text

from octo_core.db.session import Database
from tests.integration.api.conftest import Api
from tests.support.fake_kube import FakeKube

TEXTS = {
    "sql that ends a string": "x' OR '1'='1",
    "sql that adds a statement": "x'; DROP TABLE jobs; --",
    "sql that waits": "x' || pg_sleep(600) || '",
    "path upwards": "../../api-keys",
    "path encoded twice": "%2e%2e%2fapi-keys",
    "NUL": "x\x00y",
    "end of a header": "x\r\nX-API-Key: other",
    "terminal escape": "x\x1b[2Jy",
    "line of a log": 'x\n{"level": "critical"}',
    "text from right to left": "x\u202ey",
}
FILTERS = ("provider", "name", "namePrefix", "state", "requestedBy", "cursor", "labelSelector", "sort", "fields")
NOUNS = ("jobs", "providers", "webhooks", "api-keys")


async def _counts(database: Database) -> dict[str, int]:
    async with database.transaction() as session:
        return {
            table: int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)
            for table in ("jobs", "api_keys", "webhooks", "events")
        }


@pytest.mark.parametrize("given", TEXTS.values(), ids=TEXTS.keys())
async def test_it_is_data(api: Api, admin: httpx.AsyncClient, kube: FakeKube, database: Database, given: str) -> None:
    assert (await admin.post("/v1/jobs", json={"provider": "acme"})).status_code == 202
    before, objects = await _counts(database), kube.of_kind("octojobs")
    answers = [await admin.get("/v1/jobs", params={name: given}) for name in FILTERS]
    answers += [await admin.get(f"/v1/{noun}/{quote(given, safe='')}") for noun in NOUNS]
    answers += [await admin.delete(f"/v1/{noun}/{quote(given, safe='')}") for noun in NOUNS]
    answers += [await admin.post("/v1/jobs", json={"provider": given})]
    for answer in answers:
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"].startswith("application/problem+json"), answer.request.url
            assert not {"\n", "\r", "\x00", "\x1b"} & set(answer.text)
    assert {answer.status_code for answer in answers[len(FILTERS) :]} <= {404, 405, 422}
    assert (await _counts(database), kube.of_kind("octojobs")) == (before, objects)
