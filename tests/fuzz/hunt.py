"""Sends hostile requests over real connections, and looks at what comes back and at what is there afterwards."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from octo_core.db.session import Database
from tests.fuzz.requests import Hostile, Known, Maker
from tests.support.control_plane import ControlPlane

PATIENCE = 240.0
MOST_TOLD = 20
OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/auth/jwks")
LOGINS = ("/v1/auth/login", "/v1/auth/renew")
_TABLES = {
    "jobs": "uid, resource_version, state, last_event",
    "api_keys": "id, subject, secret_hash, scopes, namespaces, expires_at, revoked_at",
    "webhooks": "id, url, salt, version, disabled_at",
    "webhook_deliveries": "id, state",
    "idempotency_keys": "tenant, key_hash, job_uid",
    "bulk_cancels": "tenant, key_hash",
    "ledger": "namespace, provider, source_path",
    "job_files": "job_uid, source_path",
    "events": "id, type",
}


@dataclass(slots=True)
class Findings:
    """What was answered, and what was wrong with it."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, what: str, request: Hostile, answer: bytes = b"") -> None:
        """Something is wrong with an answer."""
        if len(self.wrong) < MOST_TOLD:
            self.wrong.append(f"{what}: {request.sent[:600]!r} -> {answer[:600]!r}")


@dataclass(slots=True)
class Connection:
    """To the api; opened when it is needed."""

    port: int
    _open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Hostile) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer."""
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)
        reader, writer = self._open
        writer.write(request.sent)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(first.split()[1])
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = b"" if request.method == "HEAD" or status in (204, 304) else await _body(reader, headers)
        named = {name.lower() for name, _ in request.headers}
        # Where a body ends was a matter of opinion: what is left of it would be the next request.
        if headers.get("connection") == "close" or named & {b"content-length", b"transfer-encoding", b"upgrade"}:
            self.close()
        return status, headers, body

    def close(self) -> None:
        """Cut it."""
        if self._open is not None:
            self._open[1].transport.abort()
        self._open = None


async def hunt(
    port: int, known: Known, planted: frozenset[bytes], *, count: int, seed: int, connections: int = 8
) -> Findings:
    """Send ``count`` requests; the same ones for the same seed."""
    findings = Findings()
    makers = [Maker(known, seed * 1000 + number) for number in range(connections)]

    async def client(maker: Maker, share: int) -> None:
        connection = Connection(port)
        for _ in range(share):
            request = maker.make()
            try:
                async with asyncio.timeout(PATIENCE):
                    status, headers, body = await connection.ask(request)
            except (OSError, asyncio.IncompleteReadError):
                connection.close()
                findings.note("no answer", request)
                continue
            findings.statuses[status] += 1
            _look(findings, request, status, headers, body, planted)
        connection.close()

    shares = [count // connections + (number < count % connections) for number in range(connections)]
    await asyncio.gather(*(client(maker, share) for maker, share in zip(makers, shares, strict=True)))
    return findings


def _look(
    findings: Findings, request: Hostile, status: int, headers: dict[str, str], body: bytes, planted: frozenset[bytes]
) -> None:
    path = request.target.split(b"?")[0].decode("latin-1")
    if status >= 500:
        findings.note("a failure", request, body)
    if "x-planted" in headers:
        findings.note("a header that was planted", request, repr(headers).encode())
    everything = body + repr(headers).encode()
    if any(secret in everything for secret in planted):
        findings.note("a secret", request, body)
    if status >= 400 and request.method != "HEAD":
        kind = headers.get("content-type", "")
        if not kind.startswith("application/problem+json") or json.loads(body)["status"] != status:
            findings.note("an error that is no problem document", request, body)
    if status < 400 and path not in OPEN:
        if request.guarded:
            findings.note("a credential that is none opened this", request, body)
        if request.method not in ("GET", "HEAD") and path not in LOGINS:
            findings.note("something that changes something was done", request, body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        found = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            found += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return found
    return await reader.readexactly(int(headers.get("content-length", "0")))


async def state(database: Database, plane: ControlPlane) -> dict[str, Any]:
    """All that a request could have changed, but for what says who asked."""
    found: dict[str, Any] = {}
    async with database.transaction() as session:
        for table, columns in _TABLES.items():
            rows = await session.execute(text(f"SELECT {columns} FROM {table} ORDER BY 1, 2"))
            found[table] = [tuple(row) for row in rows]
    kubectl = plane.kubectl("default")
    for kind in ("octojobs", "octoproviders", "jobs.batch", "secrets"):
        items = json.loads(await asyncio.to_thread(kubectl, "get", kind, "--all-namespaces", "-o", "json"))["items"]
        found[kind] = sorted((item["metadata"]["uid"], item["metadata"]["resourceVersion"]) for item in items)
    return found


def log_problems(log: str, planted: frozenset[bytes]) -> list[str]:
    """Lines that are no records, tell of a failure nobody thought of, or hold a secret."""
    wrong = []
    for line in log.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or record.get("level", "").lower() in ("error", "critical"):
            wrong.append(line[:500])
        elif any(secret in line.encode() for secret in planted):
            wrong.append(f"a secret: {line[:500]}")
    return wrong[:MOST_TOLD]
