"""API keys over REST: shown once, never more powerful than their maker, ended in time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import select, text

from octo_api.auth.credentials import hash_secret, parse_key
from octo_core.db.session import Database
from octo_core.db.tables import ApiKeyRow, AuditRow
from octo_core.domain.model import rfc3339
from tests.integration.api.conftest import PEPPER, Api, StartApi
from tests.support.waiting import until

ORDER = {"subject": "reports", "scopes": ["jobs:read"], "namespaces": ["octo"]}


async def _status(api: Api, key: str) -> int:
    return (await api.client(None, **{"X-API-Key": key}).get("/v1/auth/verify")).status_code


async def test_from_making_to_revoking(api: Api, admin: httpx.AsyncClient, database: Database) -> None:
    answer = await admin.post("/v1/api-keys", json={**ORDER, "description": "nightly"})
    made = answer.json()
    secret = made.pop("key")
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/api-keys/{made['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (made["state"], made["createdBy"], made["expiresAt"], made["lastUsedAt"]) == ("Active", "tester", None, None)
    identity = (await api.client(None, **{"X-API-Key": secret}).get("/v1/auth/verify")).json()
    assert (identity["subject"], identity["scopes"], identity["namespaces"]) == ("reports", ["jobs:read"], ["octo"])

    got = (await admin.get(answer.headers["Location"])).json()
    assert got["lastUsedAt"] is not None
    assert {**got, "lastUsedAt": None} == made
    listed = (await admin.get("/v1/api-keys?subject=reports")).json()
    assert listed == {"items": [got], "nextCursor": None}
    # Shown once: nothing that is kept or answered holds it, or leads to it.
    part = parse_key(secret).secret
    async with database.transaction() as session:
        dump = str((await session.execute(text("SELECT * FROM api_keys"))).all())
    assert part not in dump + str(got) + str(listed)
    assert hash_secret(PEPPER, part) not in str(got) + str(listed)

    for _ in range(2):
        ended = await admin.post(f"/v1/api-keys/{made['id']}:revoke")
        assert (ended.status_code, ended.json()["state"]) == (200, "Revoked")
    # At once in the replica that was told.
    assert await _status(api, secret) == 401
    assert (await admin.post(f"/v1/api-keys/{made['id']}:rotate")).json()["code"] == "invalid-state"

    async def audited() -> list[Any]:
        async with database.transaction() as session:
            rows = await session.scalars(
                select(AuditRow).where(AuditRow.action.like("api_keys.%")).order_by(AuditRow.id)
            )
            found = [(row.action, row.resource, row.status, row.details) for row in rows]
        return found if len(found) >= 4 else []

    rows = await until(audited, what="audit rows")
    assert rows[0] == ("api_keys.create", made["id"], 201, {**ORDER})
    assert [row[0] for row in rows] == ["api_keys.create", "api_keys.revoke", "api_keys.revoke", "api_keys.rotate"]


async def test_a_revoked_key_ends_in_every_replica_within_a_minute(start_api: StartApi, database: Database) -> None:
    here, there = await start_api(), await start_api()
    admin = here.client(await here.keys.make())
    made = (await admin.post("/v1/api-keys", json=ORDER)).json()
    token = (await there.client(None, **{"X-API-Key": made["key"]}).post("/v1/auth/login")).json()["accessToken"]
    bearer = there.client(None, Authorization=f"Bearer {token}")
    assert await _status(there, made["key"]) == 200
    assert (await bearer.get("/v1/auth/verify")).status_code == 200
    await admin.post(f"/v1/api-keys/{made['id']}:revoke")
    there.clock.offset = timedelta(seconds=60)
    assert await _status(there, made["key"]) == 401
    assert (await bearer.get("/v1/auth/verify")).status_code == 401


async def test_rotation_overlaps(api: Api, admin: httpx.AsyncClient) -> None:
    old = (await admin.post("/v1/api-keys", json=ORDER)).json()
    answer = await admin.post(f"/v1/api-keys/{old['id']}:rotate", json={"overlapSeconds": 3600})
    new = answer.json()
    assert answer.status_code == 201
    assert new["id"] != old["id"]
    assert (new["rotatedFrom"], new["expiresAt"]) == (old["id"], None)
    assert [new[name] for name in ORDER] == list(ORDER.values())
    assert [await _status(api, key["key"]) for key in (old, new)] == [200, 200]
    api.clock.offset = timedelta(hours=1, seconds=1)
    assert [await _status(api, key["key"]) for key in (old, new)] == [401, 200]
    assert (await admin.get(f"/v1/api-keys/{old['id']}")).json()["state"] == "Expired"
    # Without overlap the old one ends at once, though this replica knew it as good.
    last = (await admin.post(f"/v1/api-keys/{new['id']}:rotate", json={"overlapSeconds": 0})).json()
    assert [await _status(api, key["key"]) for key in (new, last)] == [401, 200]


async def test_a_key_may_replace_and_end_itself(api: Api, admin: httpx.AsyncClient) -> None:
    order = {**ORDER, "scopes": ["keys:write", "jobs:read"]}
    made = (await admin.post("/v1/api-keys", json=order)).json()
    itself = api.client(None, **{"X-API-Key": made["key"]})
    assert (await itself.post(f"/v1/api-keys/{made['id']}:rotate")).status_code == 201
    assert (await itself.post(f"/v1/api-keys/{made['id']}:revoke")).status_code == 200
    assert (await itself.get("/v1/auth/verify")).status_code == 401


async def test_no_key_makes_a_more_powerful_one(api: Api, database: Database) -> None:
    ends = api.clock() + timedelta(days=1)
    client = api.client(await api.keys.make("keys:write", "jobs:read", namespaces=("octo",), expires_at=ends))
    token = (await client.post("/v1/auth/login")).json()["accessToken"]
    for maker in (client, api.client(None, Authorization=f"Bearer {token}")):
        for more in (
            {"scopes": ["jobs:create"]},
            {"scopes": ["*"]},
            {"scopes": ["jobs:read", "audit:read"]},
            {"namespaces": ["*"]},
            {"namespaces": ["octo", "other"]},
            {"expiresAt": "2999-01-01T00:00:00Z"},
        ):
            refused = await maker.post("/v1/api-keys", json={**ORDER, **more})
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), more
        # What it may make ends with its maker.
        made = await maker.post("/v1/api-keys", json=ORDER)
        assert (made.status_code, made.json()["expiresAt"]) == (201, rfc3339(ends))
    async with database.transaction() as session:
        assert len(list(await session.scalars(select(ApiKeyRow.id)))) == 3


async def test_nobody_gets_power_over_a_more_powerful_key(api: Api) -> None:
    clerk = api.client(await api.keys.make("keys:write", "keys:read", namespaces=("octo",)))
    everywhere = await api.keys.make("jobs:read")
    stronger = await api.keys.make("jobs:create", namespaces=("octo",))
    for verb in ("rotate", "revoke"):
        # Not even told that it exists.
        assert (await clerk.post(f"/v1/api-keys/{everywhere.id}:{verb}")).json()["code"] == "api-key-not-found"
        assert (await clerk.post(f"/v1/api-keys/{stronger.id}:{verb}")).json()["code"] == "forbidden"
    assert (await clerk.get(f"/v1/api-keys/{everywhere.id}")).status_code == 404
    assert {item["id"] for item in (await clerk.get("/v1/api-keys")).json()["items"]}.isdisjoint({everywhere.id})
    assert [await _status(api, key.text) for key in (everywhere, stronger)] == [200, 200]


async def test_a_malformed_order_names_the_field(admin: httpx.AsyncClient) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"subject": "system:serviceaccount:octo:octo-api"}, "/subject"),
        ({"subject": "oidc:ann"}, "/subject"),
        ({"subject": "a\nb"}, "/subject"),
        ({"scopes": ["jobs:everything"]}, "/scopes/0"),
        ({"scopes": []}, "/scopes"),
        ({"namespaces": ["Octo"]}, "/namespaces/0"),
        ({"namespaces": None}, "/namespaces"),
        ({"expiresAt": "2001-01-01T00:00:00Z"}, "/expiresAt"),
        ({"id": "abc"}, "/id"),
    ]
    for change, where in wrong:
        answer = await admin.post("/v1/api-keys", json={**ORDER, **change})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == where, answer.text


async def test_keys_are_listed_by_pages(api: Api, admin: httpx.AsyncClient) -> None:
    made = [(await admin.post("/v1/api-keys", json=ORDER)).json()["id"] for _ in range(5)]
    seen, cursor = [], ""
    while True:
        page = (await admin.get(f"/v1/api-keys?subject=reports&limit=2{cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == made[::-1]
    # A cursor belongs to its list and filters.
    assert (await admin.get(f"/v1/api-keys?limit=2{cursor}")).json()["code"] == "invalid-cursor"


async def test_a_new_pepper_goes_on_accepting_the_old_one(start_api: StartApi, database: Database) -> None:
    key = await (await start_api()).keys.make()
    new = SecretStr("q" * 32)
    assert await _status(await start_api(api_key_pepper=new, failed_logins_per_minute=0), key.text) == 401
    both = await start_api(api_key_pepper=new, api_key_pepper_previous=SecretStr(PEPPER))
    assert await _status(both, key.text) == 200
    # Used once under both, it needs the old one no more.
    assert await _status(await start_api(api_key_pepper=new), key.text) == 200
    async with database.transaction() as session:
        stored = await session.scalar(select(ApiKeyRow.secret_hash).where(ApiKeyRow.id == key.id))
    assert stored == hash_secret("q" * 32, key.secret)
