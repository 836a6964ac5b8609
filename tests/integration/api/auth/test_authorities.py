"""Who vouches for a caller: an OIDC issuer, this server's own keys in every replica, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from sqlalchemy import event

from octo_api.auth.bindings import Binding
from octo_api.auth.credentials import new_key
from octo_core.db.session import Database
from tests.integration.api.conftest import Api, StartApi
from tests.support.oidc import AUDIENCE, Issuer, oidc_issuer

ANN = Binding(users=("oidc:ann",), scopes=("jobs:read",), namespaces=("*",))


async def _status(api: Api, token: str) -> int:
    return (await api.client(None, Authorization=f"Bearer {token}").get("/v1/jobs")).status_code


async def _with(start_api: StartApi, issuer: Issuer) -> Api:
    return await start_api(
        oidc_issuer=issuer.url, oidc_audience=AUDIENCE, auth_bindings=(ANN,), failed_logins_per_minute=0
    )


async def test_an_issuer_that_replaces_its_keys(start_api: StartApi) -> None:
    async with oidc_issuer() as issuer:
        issuer.rotate("first")
        api = await _with(start_api, issuer)
        old = issuer.token("first")
        assert await _status(api, old) == 200
        assert await _status(api, issuer.token("first", sub="bob")) == 403
        issuer.rotate("second")
        api.clock.offset = timedelta(minutes=1)
        assert await _status(api, issuer.token("second")) == 200
        assert await _status(api, old) == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "somebody-else"},
        {"aud": None},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"nbf": datetime(2099, 1, 1, tzinfo=UTC)},
        {"sub": ""},
        {"exp": None},
    ],
    ids=str,
)
async def test_an_issuer_speaks_for_this_server_and_for_now(start_api: StartApi, claims: dict[str, Any]) -> None:
    async with oidc_issuer() as issuer:
        issuer.rotate("k")
        api = await _with(start_api, issuer)
        assert await _status(api, issuer.token("k")) == 200
        assert await _status(api, issuer.token("k", **claims)) == 401


async def test_only_keys_of_the_issuer_speak_for_it(start_api: StartApi) -> None:
    async with oidc_issuer() as issuer:
        issuer.rotate("k")
        api = await _with(start_api, issuer)
        assert await _status(api, issuer.token("k")) == 200
        stranger = generate_private_key(SECP256R1())
        assert await _status(api, issuer.token("k", key=stranger)) == 401
        assert await _status(api, issuer.token("unknown", key=stranger)) == 401
        assert await _status(api, issuer.token("k", key="k" * 32, algorithm="HS256")) == 401
        unsigned = jwt.encode({"iss": issuer.url, "aud": AUDIENCE, "sub": "ann", "exp": 2**32}, "", algorithm="none")
        assert await _status(api, unsigned) == 401


async def test_two_replicas_sign_and_verify_through_rotations(start_api: StartApi) -> None:
    first, second = await start_api(token_key_rotation_days=30), await start_api(token_key_rotation_days=30)
    key = await first.keys.make()
    kids = set()
    for days in (0, 29, 31, 62, 95):
        first.clock.offset = second.clock.offset = timedelta(days=days)
        for one, other in ((first, second), (second, first)):
            token = (await one.client(key).post("/v1/auth/login")).json()["accessToken"]
            assert await _status(other, token) == 200, days
            kids |= {jwk["kid"] for jwk in (await other.client(None).get("/v1/auth/jwks")).json()["keys"]}
    assert len(kids) >= 3


async def test_an_unknown_key_costs_what_a_known_one_does(start_api: StartApi, database: Database) -> None:
    """Counted in statements, since a clock would measure the machine."""
    api = await start_api(failed_logins_per_minute=0, credential_cache_seconds=0)
    known = await api.keys.make()
    wrong = known.text[:-1] + ("A" if known.text[-1] != "A" else "B")
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "api_keys" in statement:
            statements.append(statement)

    engine = api.app.state.services.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    asked = []
    for text in (wrong, new_key(b"z" * 40).text):
        statements.clear()
        assert (await api.client(None, **{"X-API-Key": text}).get("/v1/jobs")).status_code == 401
        asked.append(list(statements))
    event.remove(engine, "before_cursor_execute", note)
    assert asked[0] == asked[1]
    assert len(asked[0]) == 1
