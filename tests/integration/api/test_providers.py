"""Providers over REST: made, read, changed under If-Match, deleted, and never with a secret in them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from octo_api.merge_patch import merge
from tests.integration.api.conftest import PROVIDER_SPEC, PROVIDERS, Api
from tests.integration.api.test_problems import problem
from tests.support.fake_kube import FakeKube

BANK = {"name": "bank", "labels": {"team": "rates"}, "spec": PROVIDER_SPEC}


async def test_a_provider_lives_and_ends(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    made = await admin.post("/v1/providers", json=BANK)
    assert (made.status_code, made.headers["Location"]) == (201, "/v1/providers/bank"), made.text
    assert (made.json()["name"], made.json()["labels"], made.json()["spec"]) == (
        "bank",
        {"team": "rates"},
        PROVIDER_SPEC,
    )
    read = await admin.get(made.headers["Location"])
    assert (read.json(), read.headers["ETag"]) == (made.json(), made.headers["ETag"])
    again = await admin.post("/v1/providers", json=BANK)
    assert (again.status_code, problem(again)["code"]) == (409, "already-exists")
    assert (await admin.delete("/v1/providers/bank")).status_code == 204
    assert f"{PROVIDERS}/bank" not in kube.objects
    for answer in (
        await admin.delete("/v1/providers/bank"),
        await admin.get("/v1/providers/bank"),
        await admin.put("/v1/providers/bank", json={"spec": PROVIDER_SPEC}),
        await admin.patch("/v1/providers/bank", json={}),
    ):
        assert (answer.status_code, problem(answer)["code"]) == (404, "provider-not-found")


async def test_a_change_needs_the_version_it_was_meant_for(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    old = (await admin.get("/v1/providers/acme")).headers["ETag"]
    patch = {"spec": {"source": {"sftp": {"port": 2222}}}, "labels": {"team": "fx"}}
    changed = await admin.patch(
        "/v1/providers/acme",
        json=patch,
        headers={"If-Match": old, "Content-Type": "application/merge-patch+json"},
    )
    assert changed.status_code == 200, changed.text
    sftp = changed.json()["spec"]["source"]["sftp"]
    assert (sftp["port"], sftp["host"]) == (2222, "sftp.example")
    assert changed.json()["labels"] == {"team": "fx"}
    assert changed.headers["ETag"] != old
    stale = {"If-Match": old}
    for answer in (
        await admin.patch("/v1/providers/acme", json={"spec": {"unpack": {"mode": "Never"}}}, headers=stale),
        await admin.put("/v1/providers/acme", json={"spec": PROVIDER_SPEC}, headers=stale),
        await admin.delete("/v1/providers/acme", headers=stale),
    ):
        assert (answer.status_code, problem(answer)["code"]) == (412, "precondition-failed")
    replaced = await admin.put(
        "/v1/providers/acme", json={"spec": PROVIDER_SPEC}, headers={"If-Match": f'"x", {changed.headers["ETag"]}'}
    )
    assert (replaced.json()["spec"], replaced.json()["labels"]) == (PROVIDER_SPEC, {})
    kube.objects[f"{PROVIDERS}/acme"]["status"] = {"lastJob": "x"}
    after_a_run = await admin.get("/v1/providers/acme")
    assert after_a_run.headers["ETag"] == replaced.headers["ETag"], "a run is not a change of the provider"
    assert (await admin.delete("/v1/providers/acme", headers={"If-Match": "*"})).status_code == 204


async def test_null_takes_away(admin: httpx.AsyncClient) -> None:
    with_port = await admin.patch("/v1/providers/acme", json={"spec": {"source": {"sftp": {"port": 23}}}})
    assert with_port.json()["spec"]["source"]["sftp"]["port"] == 23
    without = await admin.patch("/v1/providers/acme", json={"spec": {"source": {"sftp": {"port": None}}}})
    assert without.json()["spec"] == PROVIDER_SPEC


async def test_changes_at_once_are_all_kept(admin: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(admin.patch("/v1/providers/acme", json={"labels": {f"l{number}": "x"}}) for number in range(4))
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    assert (await admin.get("/v1/providers/acme")).json()["labels"] == {f"l{number}": "x" for number in range(4)}


async def test_a_dry_run_keeps_nothing(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    assert (await admin.post("/v1/providers?dryRun=All", json=BANK)).status_code == 201
    assert f"{PROVIDERS}/bank" not in kube.objects
    patched = await admin.patch("/v1/providers/acme?dryRun=All", json={"labels": {"a": "b"}})
    assert patched.json()["labels"] == {"a": "b"}
    assert (await admin.get("/v1/providers/acme")).json()["labels"] == {}


SECRET = "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter22"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"source": {"sftp": {"password": "hunter22"}}}, "/spec/source/sftp/password"),
        ({"source": {"sftp": {"hostKeys": [SECRET]}}}, "/spec/source/sftp/hostKeys/0"),
        ({"destination": {"s3": {"endpoint": "https://a:hunter22@s3.example"}}}, "/spec/destination/s3/endpoint"),
        ({"source": {"sftp": {"port": "hunter22"}}}, "/spec/source/sftp/port"),
        ({"container": {"image": "x"}}, "/spec"),
        ({"source": {"sftp": {"host": "a\u0000b"}}}, None),
        ({"schedule": {"cron": "61 * * * *"}}, "/spec/schedule/cron"),
        ({"schedule": {"cron": "@daily", "timeZone": "Mars/Olympus"}}, "/spec/schedule/timeZone"),
    ],
)
async def test_what_is_refused_is_named_and_not_repeated(
    admin: httpx.AsyncClient, kube: FakeKube, change: dict[str, Any], where: str | None
) -> None:
    before = kube.objects[f"{PROVIDERS}/acme"]
    patched = await admin.patch("/v1/providers/acme", json={"spec": change})
    spec = merge(PROVIDER_SPEC, change)
    made = await admin.post("/v1/providers", json={"name": "bank", "spec": spec})
    for answer in (patched, made):
        document = problem(answer)
        assert (answer.status_code, document["code"]) == (422, "validation-failed")
        assert where is None or where in [error["pointer"] for error in document["errors"]]
        assert "hunter22" not in answer.text
    assert kube.objects[f"{PROVIDERS}/acme"] == before
    assert f"{PROVIDERS}/bank" not in kube.objects


async def test_what_only_the_cluster_knows_is_named_too(admin: httpx.AsyncClient, kube: FakeKube) -> None:
    causes = [{"field": "spec.decrypt", "reason": "FieldValueInvalid", "message": 'Invalid value: "x": needs a key'}]
    kube.invalid = causes
    for answer in (
        await admin.post("/v1/providers", json=BANK),
        await admin.put("/v1/providers/acme", json={"labels": {"a": "b"}, "spec": PROVIDER_SPEC}),
    ):
        document = problem(answer)
        assert answer.status_code == 422
        assert document["errors"] == [
            {"in": "body", "pointer": "/spec/decrypt", "detail": "Invalid value: needs a key"}
        ]


async def test_rights(api: Api) -> None:
    reader = api.client(await api.keys.make("providers:read"))
    elsewhere = api.client(await api.keys.make("providers:write", namespaces=("other",)))
    for client in (reader, elsewhere):
        for answer in (
            await client.post("/v1/providers", json=BANK),
            await client.put("/v1/providers/acme", json={"spec": PROVIDER_SPEC}),
            await client.patch("/v1/providers/acme", json={}),
            await client.delete("/v1/providers/acme"),
        ):
            assert (answer.status_code, problem(answer)["code"]) == (403, "forbidden")
