"""A small OpenID Connect issuer on loopback: a discovery document and keys that a test replaces."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

from tests.support.ports import ReservedPort

AUDIENCE = "octo-here"


@dataclass(slots=True)
class Issuer:
    """Signs tokens; publishes the keys in ``keys``."""

    url: str
    keys: dict[str, EllipticCurvePrivateKey] = field(default_factory=dict)

    def rotate(self, kid: str) -> None:
        """Have one key, of that id, and no other."""
        self.keys = {kid: generate_private_key(SECP256R1())}

    def documents(self) -> dict[str, Any]:
        """What it publishes, by path."""
        described = [
            {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": kid, "alg": "ES256"}
            for kid, key in self.keys.items()
        ]
        found = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return {"/.well-known/openid-configuration": found, "/keys": {"keys": described}}

    def token(self, kid: str, *, key: Any = None, algorithm: str = "ES256", **claims: Any) -> str:
        """A token of somebody called ann, with these claims changed."""
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ann",
            "exp": datetime.now(UTC) + timedelta(hours=1),
            **claims,
        }
        return jwt.encode(said, key or self.keys[kid], algorithm=algorithm, headers={"kid": kid})


@asynccontextmanager
async def oidc_issuer() -> AsyncIterator[Issuer]:
    """Serve one, in this loop."""
    with_port = ReservedPort()
    issuer = Issuer(f"http://127.0.0.1:{with_port.number}")

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        body = json.dumps(issuer.documents()[request.path]).encode()
        # In pieces, as a network may deliver it.
        for at in range(0, len(body), 100):
            await response.write(body[at : at + 100])
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", with_port.number).start()
        yield issuer
    finally:
        await runner.cleanup()
        with_port.release()
