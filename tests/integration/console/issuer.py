"""An OpenID Connect issuer on loopback that lets everybody in as one person, by authorization code with PKCE."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = "octo-console"
PERSON = "ada"


class Issuer(ThreadingHTTPServer):
    """Its keys, and the codes that it has given out."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = rsa.generate_private_key(65537, 2048)
        self.codes: dict[str, dict[str, str]] = {}

    @property
    def url(self) -> str:
        """``iss`` of its tokens."""
        return f"http://127.0.0.1:{self.server_port}"

    def token(self, nonce: str) -> str:
        """An id token."""
        now = datetime.now(UTC)
        claims = {"iss": self.url, "aud": CLIENT, "sub": PERSON, "nonce": nonce, "exp": now + timedelta(hours=1)}
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "one"})


class _Handler(BaseHTTPRequestHandler):
    server: Issuer

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/.well-known/openid-configuration":
            paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            self._json(
                {"issuer": self.server.url, **{name: f"{self.server.url}/{path}" for name, path in paths.items()}}
            )
        elif parts.path == "/jwks":
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.server.key.public_key()))
            self._json({"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]})
        elif parts.path == "/authorize" and query["client_id"] == CLIENT and query["code_challenge_method"] == "S256":
            code = secrets.token_urlsafe(16)
            self.server.codes[code] = query
            self.send_response(302)
            self.send_header(
                "Location", f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
            )
            self.end_headers()
        else:
            self._json({}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.server.codes.pop(given["code"], None)
        digest = hashlib.sha256(given["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or challenge != asked["code_challenge"] or given["redirect_uri"] != asked["redirect_uri"]:
            self._json({"error": "invalid_grant"}, 400)
        else:
            self._json({"id_token": self.server.token(asked["nonce"]), "token_type": "Bearer"})

    def _json(self, document: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def issuer() -> Iterator[Issuer]:
    """One that serves until the end of the block."""
    with Issuer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
