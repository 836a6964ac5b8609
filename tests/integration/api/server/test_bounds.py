"""What a connection may take of the server: bytes and time, measured on real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import httpx

from tests.integration.api.conftest import Keys, StartProcess
from tests.support.waiting import until

PATIENCE = 240
HOST = b"Host: octo\r\n"


async def _talk(port: int, *parts: bytes) -> tuple[int, dict[str, Any]]:
    """Send the parts, keep the connection open, and read until the server closes it."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head, "the connection was closed without an answer"
    assert b"application/problem+json" in head.lower()
    return int(head.split()[1]), json.loads(body)


async def test_heads_and_bodies_are_bounded(start_process: StartProcess, keys: Keys) -> None:
    api = await start_process(
        max_header_bytes=4096, max_body_bytes=2048, header_timeout_seconds=1, body_timeout_seconds=1
    )
    post = b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    cases = {
        "a head that never ends": ([b"GET /healthz HTTP/1.1\r\nX: ", b"x" * 8192], 431, "headers-too-large"),
        "a large head": ([b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 8192 + b"\r\n\r\n"], 431, "headers-too-large"),
        "a slow head": ([b"GET /healthz HT"], 408, "request-timeout"),
        "a slow body": ([post + b"Content-Length: 20\r\n\r\n{"], 408, "request-timeout"),
        "a slow chunk": ([post + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"], 408, "request-timeout"),
        "a body announced too large": ([post + b"Content-Length: 4096\r\n\r\n{"], 413, "payload-too-large"),
        "chunks too large": (
            [post + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n" + b" " * 4096 + b"\r\n"],
            413,
            "payload-too-large",
        ),
        "a body that nobody knows how to read": (
            [b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
            400,
            "bad-request",
        ),
        "a body whose end nobody knows": (
            [b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: x\r\n\r\n{}"],
            400,
            "bad-request",
        ),
        "no HTTP": ([b"\x16\x03\x01\x00\x00\r\n\r\n"], 400, "bad-request"),
        "no route, and a body that never comes": (
            [b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n"],
            404,
            "route-not-found",
        ),
    }
    answers = await asyncio.gather(*(_talk(api.port, *parts) for parts, _, _ in cases.values()))
    found = {name: (status, problem["code"]) for name, (status, problem) in zip(cases, answers, strict=True)}
    assert found == {name: (status, code) for name, (_, status, code) in cases.items()}

    # None of it harmed the others.
    key = (await keys.make()).text
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", timeout=PATIENCE) as client:
        answer = await client.get("/v1/auth/verify", headers={"X-API-Key": key})
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == "6000;w=10"


async def test_a_process_told_to_end_is_not_ready_and_serves_on(start_process: StartProcess, keys: Keys) -> None:
    key = (await keys.make()).text
    api = await start_process(drain_seconds=3600)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.port}", timeout=PATIENCE) as client:
        client.headers["X-API-Key"] = key

        async def ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        async def told() -> dict[str, Any]:
            answer = await client.get("/readyz")
            problem: dict[str, Any] = answer.json() if answer.status_code == 503 else {}
            return problem

        await until(ready, what="the api ready")
        os.kill(api.program.pid, signal.SIGTERM)
        problem = await until(told, what="the api not ready")
        assert problem["checks"] == {"database": "ok", "cluster": "ok", "process": "it was told to end"}
        assert (await client.get("/v1/auth/verify")).status_code == 200
        assert (await client.get("/healthz")).status_code == 200
    # A second signal skips the wait.
    assert await asyncio.to_thread(api.program.stop, within=PATIENCE) == 0
