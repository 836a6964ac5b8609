"""The worker's SFTP source, as a run would open it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from octo_core.domain.run import Run
from octo_worker.credentials import Secrets
from octo_worker.sources import RemoteFile, Unreadable
from octo_worker.sources.sftp import SftpFiles
from octo_worker.sources.sftp.connection import Timings
from octo_worker.sources.tries import Tries
from tests.support.sftp import USER, SftpServer

SOON = Timings(connect_seconds=10, stall_seconds=10, backoff_seconds=0.01)
"""Waits little before it tries again."""


def sftp_run(
    server: SftpServer,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    username: str = USER,
    host_keys: Sequence[str] | None = None,
    paths: Sequence[str] = (".",),
    files: Sequence[str] = (),
    max_connections: int = 4,
    attempts: int = 3,
    disposition: Mapping[str, Any] | None = None,
) -> Run:
    """A run document. Through another ``port``, the host keys are still those of the server."""
    port = port or server.port
    pinned = host_keys if host_keys is not None else [f"[{host}]:{port} {server.host_key}"]
    return Run.model_validate(
        {
            "job": {
                "namespace": "octo",
                "name": "nightly",
                "uid": "uid-1",
                "attempt": 1,
                "provider": "bank",
                "createdAt": "2026-01-02T03:04:05Z",
            },
            "parameters": {},
            "source": {
                "sftp": {
                    "host": host,
                    "port": port,
                    "username": username,
                    "credentialsSecretRef": {"name": "sftp"},
                    "hostKeys": list(pinned),
                    "maxConnections": max_connections,
                    "disposition": dict(disposition or {}),
                }
            },
            "decrypt": None,
            "unpack": {},
            "destination": None,
            "selection": {
                "paths": list(paths),
                "include": [],
                "exclude": [],
                "policy": "Explicit" if files else "NewOnly",
                "files": list(files),
                "minAgeSeconds": 0,
                "dryRun": False,
            },
            "transfer": {"maxAttemptsPerFile": attempts},
        }
    )


def secrets_of(folder: Path, values: Mapping[str, bytes | str]) -> Secrets:
    """The mounted credentials Secret."""
    (folder / "sftp").mkdir(exist_ok=True)
    for name, value in values.items():
        (folder / "sftp" / name).write_bytes(value.encode() if isinstance(value, str) else value)
    return Secrets(folder)


def sftp_files(
    server: SftpServer,
    folder: Path,
    *,
    secrets: Mapping[str, bytes | str] | None = None,
    timings: Timings = SOON,
    **settings: Any,
) -> SftpFiles:
    """The source; by default with the server's own client key. ``settings`` are those of ``sftp_run``."""
    given = secrets if secrets is not None else {"privateKey": server.client_key}
    return SftpFiles(sftp_run(server, **settings), secrets_of(folder, given), timings)


async def listed(source: SftpFiles) -> dict[str, RemoteFile]:
    """Every file of the listing, by its path below the root; there must be nothing unreadable."""
    files = {}
    async with aclosing(source.listing()) as items:
        async for item in items:
            assert isinstance(item, RemoteFile), item
            files[item.below_root] = item
    return files


async def unreadable(source: SftpFiles) -> dict[str, Unreadable]:
    """What the listing could not read, by its path below the root."""
    async with aclosing(source.listing()) as items:
        return {item.below_root: item async for item in items if isinstance(item, Unreadable)}


async def content(source: SftpFiles, file: RemoteFile, tries: Tries | None = None) -> bytes:
    """All that is read of a file."""
    async with aclosing(source.read(file, tries)) as blocks:
        return b"".join([block async for block in blocks])
