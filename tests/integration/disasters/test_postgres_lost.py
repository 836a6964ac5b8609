"""Postgres is lost: history comes back from the bucket, and from a cluster whose controller never stopped."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from octo_api.rebuild import rebuild
from octo_core.db import files, ledger
from octo_core.db.ledger import LedgerFilter
from octo_core.db.projection import live_versions, project
from octo_core.db.session import Database
from octo_core.domain.errors import DatabaseUnavailableError, InvalidError
from octo_core.domain.failure import Category
from octo_core.domain.history import PastEnd, PastFile, PastRun
from octo_core.domain.report import FileOutcome, FileResult, Outcome
from octo_core.domain.run import RunIdentity
from octo_core.settings import DatabaseSettings
from octo_worker import history, manifest
from tests.integration.disasters.conftest import Rows, commands, run, url_of
from tests.integration.worker.laptop import PREFIX, Laptop, laptop
from tests.integration.worker.s3_sinks import open_sink
from tests.support.control_plane import ControlPlane
from tests.support.controllers import site
from tests.support.pgp import PgpKey
from tests.support.s3 import Bucket
from tests.support.samples import csv, flipped
from tests.support.sftp import Inbox
from tests.support.waiting import until

__all__ = ["laptop"]  # the fixture

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def octojob(uid: str, name: str, version: int, state: str) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": uid,
            "name": name,
            "namespace": "octo",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-02T03:04:05Z",
        },
        "spec": {"providerRef": {"name": "bank"}, "parameters": {"day": "monday"}},
        "status": {"state": state, "attempt": 1},
    }


async def test_history_is_rebuilt_from_the_manifests(
    laptop: Laptop, inbox: Inbox, pgp_key: PgpKey, database: Database, database_settings: DatabaseSettings, rows: Rows
) -> None:
    inbox.put("a.csv.gz.gpg", pgp_key.encrypt(gzip.compress(csv(1))))
    inbox.put("b.json", b"{}")
    assert laptop.run("run", "--job", "monday").code == 0
    inbox.put("c.csv.gz.gpg", flipped(pgp_key.encrypt(gzip.compress(csv(2))), -40))
    assert laptop.run("run", "--job", "tuesday").code != 0
    assert laptop.run("run", "--job", "wednesday", "--on-file-error", "SkipFile").code == 0

    script = commands("Postgres is lost")
    said = run(script, folder=laptop.folder, database_url=url_of(database_settings))
    assert said.splitlines()[-1] == "rebuilt 3 attempts with 4 rows"
    first = await rows()
    by_name = {row["name"]: row for row in first.values()}
    told = ("provider", "state", "reason", "failure_category", "attempt")
    assert {name: tuple(row[key] for key in told) for name, row in by_name.items()} == {
        "monday": ("bank", "Succeeded", "Completed", None, 1),
        "tuesday": ("bank", "Failed", "FilesFailed", "Integrity", 1),
        "wednesday": ("bank", "Succeeded", "CompletedWithSkips", None, 1),
    }
    monday = by_name["monday"]
    assert monday["status"]["manifestRef"]["uri"] == f"s3://{laptop.bucket.name}/{PREFIX}/manifests/monday/1.jsonl"
    assert monday["deleted_at"] is not None
    assert monday["created_at"] <= monday["finished_at"]
    async with database.transaction() as session:
        known = await files.page(session, monday["uid"], limit=10)
        entries = await ledger.page(session, monday["namespace"], "bank", LedgerFilter(), limit=10)
    assert [(row["source_path"], row["outcome"]) for row in known] == [
        (f"{inbox.path}/a.csv.gz.gpg", "Stored"),
        (f"{inbox.path}/b.json", "Stored"),
    ]
    assert [(row["key"], row["job_uid"]) for row in entries] == [
        (f"{PREFIX}/data/csv/a.csv", monday["uid"]),
        (f"{PREFIX}/data/json/b.json", monday["uid"]),
    ]

    run(script, folder=laptop.folder, database_url=url_of(database_settings))
    assert await rows() == {uid: {**row, **_times(row, await rows())} for uid, row in first.items()}, "once more"


def _times(row: dict[str, Any], now: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: now[row["uid"]][name] for name in ("deleted_at", "mirrored_at")}


def lines(*, attempt: int = 1, finished: str = "2026-01-01T00:00:00Z") -> list[bytes]:
    return [
        b'{"event": "run", "uid": "u", "name": "a", "attempt": %d, "provider": "bank", "endedAt": "%s"}'
        % (attempt, finished.encode()),
        b'{"event": "file", "sourcePath": "in/x", "outcome": "Stored", "key": "data/x", "sourceSize": %d,'
        b' "finishedAt": "%s"}' % (attempt, finished.encode()),
        b'{"event": "end", "reason": "Completed", "files": 1, "failed": 0, "uri": "s3://b/m", "sha256": "00"}',
    ]


async def test_what_postgres_knows_better_stays(
    database: Database, database_settings: DatabaseSettings, rows: Rows
) -> None:
    async def add(*parts: list[bytes]) -> None:
        await rebuild(database_settings, [line for part in parts for line in part], namespace="octo", clock=lambda: NOW)

    await add(lines(attempt=2, finished="2026-01-02T00:00:00Z"), lines())
    (row,) = (await rows()).values()
    assert (row["attempt"], row["finished_at"].day, row["deleted_at"]) == (2, 2, NOW)
    async with database.transaction() as session:
        (file,) = await files.page(session, "u", limit=10)
        (entry,) = await ledger.page(session, "octo", "bank", LedgerFilter(), limit=10)
        assert (file["attempt"], entry["source_size"]) == (2, 2)
        # Its OctoJob is there after all.
        await project(session, [octojob("u", "a", 7, "Running")], now=NOW)
        assert await live_versions(session, "octo") == {"u": 7}
    await add(lines(attempt=3))
    (row,) = (await rows()).values()
    assert (row["state"], row["spec"]["parameters"], row["last_event"]) == ("Running", {"day": "monday"}, 2)


async def test_lines_that_make_no_sense_are_refused(database_settings: DatabaseSettings, rows: Rows) -> None:
    run_line, file_line, end_line = lines()
    for broken, why in (([file_line], "file comes before"), ([run_line, b"{}"], "line 2"), ([end_line], "end comes")):
        with pytest.raises(InvalidError, match=why):
            await rebuild(database_settings, broken, namespace="octo", clock=lambda: NOW)
    # A stream that was cut off tells of no run that it did not tell whole.
    await rebuild(database_settings, [run_line, file_line], namespace="octo", clock=lambda: NOW)
    assert await rows() == {}


async def test_a_running_controller_fills_a_new_database(
    bare_control_plane: ControlPlane,
    database_settings: DatabaseSettings,
    database: Database,
    rows: Rows,
    tmp_path: Path,
) -> None:
    with site(bare_control_plane, url_of(database_settings), tmp_path) as place:
        controller = place.controller("controller")
        controller.program.start()
        place.provider("hello")
        place.run("over", "hello", cancel={"requestedAt": "2026-01-02T03:04:05Z"})
        place.run("under-way", "hello")
        place.run("later", "hello", startAfter="2099-01-01T00:00:00Z")
        place.wait_for_job("under-way")

        async def mirrored() -> dict[str, str]:
            try:
                found = {row["name"]: row["state"] for row in (await rows()).values()}
            except DatabaseUnavailableError:
                return {}
            return found if found == {"over": "Cancelled", "under-way": "Starting", "later": "Pending"} else {}

        async def copied() -> bool:
            return await _providers(database_settings) == ["hello"]

        await until(mirrored, within=240, what="all runs in Postgres")
        await until(copied, within=240, what="the provider in Postgres")
        before = {uid: row["resource_version"] for uid, row in (await rows()).items()}
        await _replace(database_settings)
        await until(mirrored, within=240, what="all runs in the new Postgres")
        await until(copied, within=240, what="the provider in the new Postgres")
        after = await rows()
        assert {uid: row["deleted_at"] for uid, row in after.items()} == dict.fromkeys(before)
        assert all(after[uid]["resource_version"] >= version for uid, version in before.items())
        assert controller.program.running


async def _replace(settings: DatabaseSettings) -> None:
    """A new, empty database of that name."""
    url = urlsplit(url_of(settings))
    name = url.path[1:]
    connection = await asyncpg.connect(url._replace(path="/postgres").geturl())
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE octo_template")
    await connection.close()


async def _providers(settings: DatabaseSettings) -> list[str]:
    try:
        connection = await asyncpg.connect(url_of(settings))
    except asyncpg.InvalidCatalogNameError:
        return []
    try:
        return [row["name"] for row in await connection.fetch("SELECT name FROM providers ORDER BY name")]
    finally:
        await connection.close()


def test_workers_that_share_a_run_tell_of_it_once(bucket: Bucket, tmp_path: Path) -> None:
    job = RunIdentity(namespace="octo", name="shared", uid="u", attempt=1, provider="bank", created_at=NOW)
    fine, bad = Outcome(reason="Completed"), Outcome(reason="FilesFailed", category=Category.DECRYPT)

    def write(shard: int, ended: Outcome) -> None:
        rows = manifest.Rows()
        rows.add(FileResult(source_path=f"in/{shard}", outcome=FileOutcome.STORED, source_size=1, finished_at=NOW))
        with open_sink(bucket, tmp_path) as sink:
            manifest.write(sink, bucket.name, PREFIX, job, rows, ended, shard=shard, shards=2)

    def told() -> tuple[list[str], list[str], list[Category | None]]:
        with open_sink(bucket, tmp_path) as sink:
            found = list(history.lines(sink, bucket.name, PREFIX, "another"))
        assert {line.provider for line in found if isinstance(line, PastRun)} == {"bank"}
        return (
            [line.source_path for line in found if isinstance(line, PastFile)],
            [line.reason for line in found if isinstance(line, PastEnd)],
            [line.category for line in found if isinstance(line, PastEnd)],
        )

    bucket.server.client.put_object(bucket.name, f"{PREFIX}/manifests/notes.txt", io.BytesIO(b"x"), 1)
    write(0, bad)
    assert told() == (["in/0"], ["Incomplete"], [Category.DECRYPT]), "a part, where the others never came"
    write(1, fine)
    assert told() == (["in/0", "in/1"], ["FilesFailed"], [Category.DECRYPT]), "one that failed speaks for all"
