"""Bodies that are JSON, and hold what not all can keep that they are handed to: refused as any other mistake."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.api.conftest import PROVIDERS
from tests.support.fake_kube import FakeKube

JSON = {"Content-Type": "application/json"}


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/api-keys",
            '{"subject": "x", "scopes": ["jobs:read"], "namespaces": ["octo"], "description": "a\\u0000"}',
        ),
        ("/v1/jobs/{job}:cancel", '{"reason": "a\\u0000"}'),
        ("/v1/jobs:cancel", '{"filter": {}, "expectedCount": 1, "reason": "a\\u0000"}'),
        ("/v1/jobs", '{"provider": "acme", "parameters": {"a": "\\u0000"}}'),
        ("/v1/webhooks", '{"name": "x", "url": "https://example.com/", "description": "a\\u0000"}'),
        ("/v1/providers/acme/ledger:reset", '{"paths": ["a"], "reason": "\\u0000"}'),
    ],
)
async def test_a_nul_in_text(admin: httpx.AsyncClient, kube: FakeKube, path: str, body: str) -> None:
    job = (await admin.post("/v1/jobs", json={"provider": "acme"})).json()["id"]
    before = dict(kube.objects)
    answer = await admin.post(path.format(job=job), content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")
    assert kube.objects == before


@pytest.mark.parametrize("value", ['"\\ud800"', '{"\\udc00": 1}', "NaN", "1e999", "9" * 30, nested(70), nested(800)])
@pytest.mark.parametrize("part", ["env", "volumes"])
async def test_what_a_pods_part_cannot_hold(admin: httpx.AsyncClient, kube: FakeKube, part: str, value: str) -> None:
    before = dict(kube.objects)
    container = f'{{"image": "x", "{part}": [{{"name": "X", "value": {value}}}]}}'
    for method, path, body in (
        ("POST", "/v1/providers", f'{{"name": "x", "spec": {{"container": {container}}}}}'),
        ("PUT", "/v1/providers/acme", f'{{"spec": {{"container": {container}}}}}'),
        (
            "PATCH",
            "/v1/providers/acme",
            f'{{"spec": {{"source": null, "destination": null, "container": {container}}}}}',
        ),
    ):
        answer = await admin.request(method, path, content=body, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), (method, answer.text)
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/spec/container/{part}/0"]
    assert kube.objects == before


async def test_what_a_pods_part_may_hold(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    value = f'[{nested(40)}, -9223372036854775808, 9223372036854775807, 0.5, "\\ud83d\\ude00", null, true]'
    body = f'{{"name": "x", "spec": {{"container": {{"image": "x", "volumes": [{{"a": {value}}}]}}}}}}'
    answer = await admin.post("/v1/providers", content=body, headers=JSON)
    assert answer.status_code == 201, answer.text
    kept = kube.objects[f"{PROVIDERS}/x"]["spec"]["container"]["volumes"][0]["a"]
    assert kept[1:] == [-(2**63), 2**63 - 1, 0.5, "\N{GRINNING FACE}", None, True]
