"""Hostile headers, cursors, tokens and ids, against a whole api: nothing is learnt, changed or broken by them.

`make fuzz-api REQUESTS=100000 SEED=7` is the long form.
"""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from octo_api.auth.caller import Scope
from octo_core.db.session import Database
from octo_core.settings import DatabaseSettings
from tests.fuzz.hunt import hunt, log_problems, state
from tests.fuzz.requests import Known
from tests.integration.api.conftest import PROVIDER_SPEC
from tests.support.control_plane import ControlPlane
from tests.support.waiting import until
from tests.support.whole_api import WholeApi, whole_api

REQUESTS = int(os.environ.get("OCTO_FUZZ_REQUESTS", "400"))
SEED = int(os.environ.get("OCTO_FUZZ_SEED", "1"))
PEPPER = "planted-pepper-" + "p" * 32
MARKER = "planted4c1d"
READS = [scope.value for scope in Scope if scope.value.endswith(":read")]


async def _json(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> dict[str, Any]:
    answer = await client.request(method, path, **more)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _plant(admin: httpx.AsyncClient) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[bytes]]:
    """Ids of what nobody is to see, cursors of lists of it, and what would tell of it."""
    spec = {**PROVIDER_SPEC, "destination": {"s3": {"bucket": MARKER}}}
    await _json(admin, "POST", "/v1/providers", json={"name": "hidden", "spec": spec})
    jobs = [
        await _json(admin, "POST", "/v1/jobs", json={"provider": "hidden", "parameters": {"note": MARKER}})
        for _ in range(3)
    ]
    hooks = [
        await _json(admin, "POST", "/v1/webhooks", json={"name": f"hook-{n}", "url": f"https://{MARKER}.example/"})
        for n in range(2)
    ]
    order = {"subject": "hidden", "description": MARKER, "scopes": ["*"], "namespaces": ["*"]}
    keys = [await _json(admin, "POST", "/v1/api-keys", json=order) for _ in range(2)]
    cursors = []
    for noun in ("jobs", "webhooks", "api-keys", "audit"):
        page = await _json(admin, "GET", f"/v1/{noun}", params={"limit": 1})
        assert page["nextCursor"], noun
        cursors.append(page["nextCursor"])
    ids = tuple(item[name] for name in ("id", "name") for item in (*jobs, *hooks, *keys) if name in item)
    secrets = [MARKER, PEPPER, "s" * 32, *(hook["secret"] for hook in hooks), *(key["key"] for key in keys)]
    return (*ids, "hidden"), tuple(cursors), frozenset(secret.encode() for secret in secrets)


async def _known(api: WholeApi, admin: httpx.AsyncClient) -> tuple[Known, frozenset[bytes]]:
    ids, cursors, planted = await _plant(admin)
    order = {"subject": "narrow", "scopes": READS, "namespaces": ["elsewhere"]}
    key = (await _json(admin, "POST", "/v1/api-keys", json=order))["key"]
    token = (await _json(admin, "POST", "/v1/auth/login", headers={"X-API-Key": key}))["accessToken"]
    (jwk,) = (await _json(admin, "GET", "/v1/auth/jwks"))["keys"]
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(jwk["x"] + "="))
    paths = (await _json(admin, "GET", "/openapi.json"))["paths"]
    return Known(
        routes=tuple((method.upper(), path) for path, methods in sorted(paths.items()) for method in sorted(methods)),
        ids=ids,
        cursors=cursors,
        key=key,
        token=token,
        public=public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ), planted | {api.token.encode()}


async def test_hostile_requests_learn_and_change_nothing(
    bare_control_plane: ControlPlane, database_settings: DatabaseSettings, database: Database, tmp_path: Path
) -> None:
    async with whole_api(
        bare_control_plane,
        database_settings,
        tmp_path,
        namespace=f"fuzz-{uuid.uuid4().hex[:8]}",
        pepper=PEPPER,
        # A body that is announced and never comes is waited for only so long.
        body_timeout_seconds=2,
    ) as api:
        headers = {"Authorization": f"Bearer {api.token}"}
        async with httpx.AsyncClient(base_url=api.url, headers=headers, timeout=240) as admin:
            known, planted = await _known(api, admin)

            async def settled() -> bool:
                """Every run has the event that it was made, at its place in the order."""
                page = await _json(admin, "GET", "/v1/events")
                return len(page["items"]) == 3

            await until(settled, within=240, what="the events of all runs")
        before = await state(database, bare_control_plane)
        findings = await hunt(api.process.port, known, planted, count=REQUESTS, seed=SEED)
        after = await state(database, bare_control_plane)
        # Written as it ends: all there will be.
        await asyncio.to_thread(api.process.program.stop, within=240)
    assert not findings.wrong, "\n".join((str(findings.statuses), *findings.wrong))
    assert sum(findings.statuses.values()) == REQUESTS
    assert after == before
    secrets = planted | {known.key.encode(), known.token.encode()}
    assert log_problems(api.log.read_text(), secrets) == []
