"""``octo`` over REST: a real api process on a real Postgres."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from octo_core.db.projection import project
from octo_core.db.session import Database
from tests.integration.api.conftest import JOBS, PROVIDERS, Keys, StartProcess, keys, kube, start_process
from tests.integration.api.test_job_logs import put_pod
from tests.support.api_process import ApiProcess
from tests.support.cli import Cli, Done
from tests.support.fake_kube import FakeKube, Raw
from tests.support.tcp_faults import Fault, How, proxied
from tests.support.waiting import until

__all__ = ["keys", "kube", "start_process"]  # fixtures

PATIENCE = 240
FAILURE = {
    "category": "Auth",
    "reason": "LoginRefused",
    "message": "no such user",
    "resolution": "Check the Secret.",
    "retryable": False,
}


@pytest.fixture
async def server(start_process: StartProcess) -> ApiProcess:
    return await start_process(namespace="octo", progress_interval_seconds=0)


@pytest.fixture
async def key_file(keys: Keys, tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text((await keys.make()).text + "\n")
    return file


@pytest.fixture
def cli(server: ApiProcess, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """With the key's file, and no context."""
    return Cli(tmp_path / "home", monkeypatch, "--server", server.url, "--api-key-file", str(key_file))


def jobs_of(kube: FakeKube) -> list[Raw]:
    return [raw for path, raw in kube.objects.items() if path.startswith(JOBS)]


async def turn(kube: FakeKube, database: Database, name: str, state: str, **status: Any) -> None:
    """A run comes into a state, and its row says so, as the mirror would have it."""
    job = kube.put(f"{JOBS}/{name}", {**kube.objects[f"{JOBS}/{name}"], "status": {"state": state, **status}})
    async with database.transaction() as session:
        await project(session, [job], now=datetime.now(UTC))


async def begun(kube: FakeKube, command: asyncio.Task[Done], but: Collection[str] = ()) -> str:
    """The name of the run that the command begins, which is none of those."""

    async def made() -> str | None:
        found = next((name for raw in jobs_of(kube) if (name := raw["metadata"]["name"]) not in but), None)
        assert found or not command.done(), command.result()
        return found

    name = await until(made, within=PATIENCE, what="the run")
    assert name is not None
    return name


ENDED = {"startTime": "2026-01-02T03:05:05Z", "completionTime": "2026-01-02T03:15:05Z", "attempt": 1}


async def test_a_run_from_the_request_to_its_history(cli: Cli, kube: FakeKube, database: Database) -> None:
    asked = await cli.call("run", "acme", "--idempotency-key", "monday", "-p", "day=1", "-l", "team=fx", "-o", "json")
    assert asked.code == 0, asked
    job = asked.json
    assert (job["state"], job["spec"]["parameters"], job["labels"]["team"]) == ("Pending", {"day": "1"}, "fx")
    again = await cli.call("run", "acme", "--idempotency-key", "monday", "-p", "day=1", "-l", "team=fx", "-o", "name")
    assert again.out.strip() == job["name"]
    other = await cli.call("run", "acme", "--idempotency-key", "monday")
    assert (other.code, "idempotency" in other.err.lower()) == (2, True), other

    assert [row[:3] for row in (await cli.call("ls")).rows] == [[job["name"], "acme", "Pending"]]
    for arguments, count in (
        (("--provider", "acme", "--state", "pending", "-l", "team=fx", "--since", "2026-01-02"), 1),
        (("--provider", "other"), 0),
        (("--state", "Failed"), 0),
        (("--until", "2026-01-02"), 0),
    ):
        assert len((await cli.call("ls", "-o", "json", *arguments)).json["items"]) == count, arguments

    await turn(kube, database, job["name"], "Failed", failure=FAILURE, **ENDED)
    for reference in (job["name"], job["id"]):
        found = await cli.call("get", reference, "-o", "yaml")
        assert yaml.safe_load(found.out)["state"] == "Failed"
    waited = await cli.call("get", job["name"], "--wait")
    assert (waited.code, "Auth: no such user" in waited.err, "Check the Secret." in waited.err) == (1, True, True)

    why = await cli.call("explain", job["name"])
    assert f"{job['name']} of acme: Failed" in why.out
    assert "What to do:\n  - Check the Secret." in why.out

    assert (await cli.call("cancel", job["name"])).code == 8
    assert (await cli.call("files", job["name"])).err == "Nothing found.\n"
    assert (await cli.call("rerun", job["name"], "--failed")).code == 8
    rerun = (await cli.call("rerun", job["name"], "-o", "json")).json
    assert rerun["rerunOf"] == job["id"]
    # Both were made in the same second of the fake cluster's clock.
    assert {row[0] for row in (await cli.call("ls")).rows} == {job["name"], rerun["name"]}
    assert len((await cli.call("ls", "--limit", "1")).rows) == 1

    cancelled = await cli.call("cancel", rerun["name"], "--reason", "not today", "--force", "-o", "json")
    assert cancelled.code == 0
    raw = kube.objects[f"{JOBS}/{rerun['name']}"]
    assert (raw["spec"]["cancel"]["reason"], raw["spec"]["cancel"]["mode"]) == ("not today", "Force")


async def test_who_waits_is_told_how_it_ended(cli: Cli, kube: FakeKube, database: Database) -> None:
    known: list[str] = []
    for state, code in (("Succeeded", 0), ("Failed", 1), ("Cancelled", 6)):
        waiting = asyncio.create_task(cli.call("run", "acme", "--wait", "-o", "json"))
        name = await begun(kube, waiting, known)
        known.append(name)
        await turn(kube, database, name, state, **ENDED)
        done = await waiting
        assert done.code == code, done
        assert done.json["state"] == state
        assert f"{name}: {state}" in done.err
    late = await cli.call("run", "acme", "--wait", "--timeout", "1s")
    assert (late.code, late.out) == (7, ""), late
    assert "it goes on" in late.err
    assert len(jobs_of(kube)) == len(known) + 1


async def test_a_log_is_followed_over_attempts(cli: Cli, kube: FakeKube, database: Database) -> None:
    following = asyncio.create_task(cli.call("run", "acme", "--follow"))
    name = await begun(kube, following)
    uid = kube.objects[f"{JOBS}/{name}"]["metadata"]["uid"]
    put_pod(kube, uid, "2026-01-02T03:04:05.5Z one\n2026-01-02T03:04:06.5Z two\x1b[2J\n", phase="Failed", name="pod-1")
    await turn(kube, database, name, "Retrying", attempt=1)
    put_pod(kube, uid, "2026-01-02T03:06:05.5Z three\n", phase="Succeeded", attempt=2, name="pod-2")
    await turn(kube, database, name, "Succeeded", **{**ENDED, "attempt": 2})
    done = await following
    assert (done.code, done.out) == (0, "one\ntwo\\x1b[2J\nthree\n"), done

    assert (await cli.call("logs", name)).out == "three\n"
    first = await cli.call("logs", name, "--attempt", "1", "--tail", "1", "--timestamps")
    assert first.out == "2026-01-02T03:04:06.5Z two\\x1b[2J\n"
    assert (await cli.call("logs", name, "-f")).out == "three\n"


@pytest.mark.parametrize("how", [How.RESET, How.CLOSE])
async def test_a_log_goes_on_over_cuts(
    server: ApiProcess, key_file: Path, kube: FakeKube, database: Database, cli: Cli, how: How, tmp_path: Path
) -> None:
    name = (await cli.call("run", "acme", "-o", "name")).out.strip()
    uid = kube.objects[f"{JOBS}/{name}"]["metadata"]["uid"]
    lines = [f"2026-01-02T03:04:05.{number:06}Z line {number}" for number in range(40)]
    await turn(kube, database, name, "Running", attempt=1)

    def written(count: int, phase: str = "Running") -> None:
        put_pod(kube, uid, "".join(f"{line}\n" for line in lines[:count]), phase=phase)

    written(10)
    with proxied(server.port) as proxy:
        shown = tmp_path / "shown"
        with shown.open("wb") as out:
            command = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", "from octo_cli.main import octo; octo()"),
                *("--server", f"http://127.0.0.1:{proxy.port}", "--api-key-file", str(key_file), "logs", name, "-f"),
                stdout=out,
                env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "XDG_CONFIG_HOME": str(tmp_path)},
            )

            async def has(count: int) -> bool:
                assert command.returncode is None
                return len(shown.read_text().splitlines()) >= count

            await until(lambda: has(10), what="the first lines")
            proxy.cut(how)
            written(20)
            await until(lambda: has(20), what="lines after a cut")
            # Within the next answer to begin, some lines of which were shown.
            proxy.break_next(Fault(after=900, how=how))
            proxy.cut(how)
            written(40)
            await until(lambda: has(40), what="lines after two")
            written(40, phase="Succeeded")
            await turn(kube, database, name, "Succeeded", **ENDED)
            assert await command.wait() == 0
    assert shown.read_text().splitlines() == [f"line {number}" for number in range(40)]


async def test_a_timeout_holds_also_when_the_server_is_silent(
    server: ApiProcess, key_file: Path, cli: Cli, tmp_path: Path
) -> None:
    name = (await cli.call("run", "acme", "-o", "name")).out.strip()
    with proxied(server.port) as proxy:
        proxy.stall()
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from octo_cli.main import octo; octo()"),
            *("--server", f"http://127.0.0.1:{proxy.port}", "--api-key-file", str(key_file)),
            *("get", name, "--wait", "--timeout", "1s"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(tmp_path)},
        )
        out, err = await command.communicate()
    assert (command.returncode, out) == (7, b""), err
    assert b"no answer within 1 s" in err


async def test_providers_and_schedules(cli: Cli, kube: FakeKube, database: Database) -> None:
    kube.put(f"{PROVIDERS}/daily", {"spec": {"container": {"image": "x:1"}, "schedule": {"cron": "0 6 * * *"}}})
    assert [row[:2] for row in (await cli.call("providers", "ls")).rows] == [["acme", "sftp"], ["daily", "container"]]
    assert "s3://landing/" in (await cli.call("providers", "get", "acme", "-o", "wide")).out
    assert (await cli.call("providers", "get", "acme", "-o", "json")).json["spec"]["source"]
    assert (await cli.call("providers", "ledger", "acme", "-o", "json")).json == {"items": []}
    assert (await cli.call("providers", "get", "gone")).code == 3

    (row,) = (await cli.call("schedules", "ls")).rows
    assert row[:6] == ["daily", "0", "6", "*", "*", "*"]
    ticks = (await cli.call("schedules", "next", "daily", "--count", "3", "-o", "json")).json["items"]
    assert len(ticks) == 3
    assert all(tick.endswith("T06:00:00Z") for tick in ticks)
    filled = await cli.call("schedules", "backfill", "daily", "--from", "2026-01-01", "--to", "2026-01-03", "--dry-run")
    assert [row[0] for row in filled.rows] == ["2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z"]
    triggered = await cli.call("schedules", "trigger", "daily", "-o", "json")
    assert triggered.json["provider"] == "daily"

    planning = asyncio.create_task(cli.call("providers", "plan", "acme"))

    name = await begun(kube, planning, [triggered.json["name"]])
    progress = {"filesListed": 5, "filesSelected": 2, "filesSkipped": 3, "summary": "0/2"}
    await turn(kube, database, name, "Succeeded", **ENDED, progress=progress)
    done = await planning
    assert "5 files listed; would be fetched: 2; left out: 3" in done.out, done


async def test_a_verification(cli: Cli, kube: FakeKube, database: Database) -> None:
    verifying = asyncio.create_task(cli.call("providers", "verify", "acme"))
    name = await begun(kube, verifying)
    await turn(kube, database, name, "Failed", **ENDED, failure=FAILURE)
    done = await verifying
    assert (done.code, "no such user" in done.err) == (1, True), done


async def test_keys_and_audit(cli: Cli) -> None:
    made = await cli.call(
        "keys", "create", "ci", "--scope", "jobs:read", "--for-namespace", "octo", "--expires-in", "90d"
    )
    assert made.code == 0, made
    (secret,) = made.out.split()
    (row,) = (await cli.call("keys", "ls", "--subject", "ci")).rows
    assert (row[1], row[2], row[3]) == ("ci", "Active", "jobs:read")
    assert secret not in (await cli.call("keys", "ls", "-o", "json")).out
    rotated = await cli.call("keys", "rotate", row[0], "--overlap", "0", "-o", "json")
    assert rotated.json["rotatedFrom"] == row[0]
    revoked = await cli.call("keys", "revoke", rotated.json["id"])
    assert "Revoked" in revoked.out

    rows = (await cli.call("audit", "--action", "keys.create", "-o", "json")).json["items"]
    listed = await cli.call("audit")
    assert listed.code == 0, (listed, rows)
    assert "tester" in listed.out


async def test_signing_in(
    server: ApiProcess, keys: Keys, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path / "home", monkeypatch)
    key = (await keys.make()).text
    signed = await cli.call("login", server.url, "--name", "here", "--api-key-stdin", stdin=key)
    assert (signed.code, signed.out) == (0, ""), signed
    file = tmp_path / "home" / "octo" / "config.yaml"
    assert key not in file.read_text()
    assert (await cli.call("ls")).code == 0
    (row,) = (await cli.call("config", "contexts")).rows
    assert row[:3] == ["*", "here", server.url]

    # A token is renewed when half its time is over.
    document = yaml.safe_load(file.read_text())
    document["contexts"][0]["token_renew_at"] = "2026-01-01T00:00:00+00:00"
    file.write_text(yaml.safe_dump(document))
    assert (await cli.call("ls")).code == 0
    renewed = yaml.safe_load(file.read_text())["contexts"][0]
    assert renewed["token_renew_at"] > document["contexts"][0]["token_renew_at"]
    assert (await cli.call("ls")).code == 0
    assert yaml.safe_load(file.read_text())["contexts"][0] == renewed

    # A file with the key is remembered, so that a sign-in that has ended begins again by itself.
    assert (await cli.call("login", server.url, "--name", "there", "--api-key-file", str(key_file))).code == 0
    document = yaml.safe_load(file.read_text())
    assert document["current"] == "there"
    for context in document["contexts"]:
        context["token_expires_at"] = "2026-01-01T00:00:00+00:00"
    file.write_text(yaml.safe_dump(document))
    assert (await cli.call("ls")).code == 0
    ended = await cli.call("--context", "here", "ls")
    assert (ended.code, f"octo login {server.url}" in ended.err) == (4, True), ended

    weak = (await keys.make("jobs:read")).text
    assert (await cli.call("login", server.url, "--name", "weak", "--api-key-stdin", stdin=weak)).code == 0
    refused = await cli.call("run", "acme")
    assert (refused.code, "(forbidden)" in refused.err or "scope" in refused.err) == (4, True), refused
    wrong = await cli.call("login", server.url, "--api-key-stdin", stdin="octo_wrong")
    assert (wrong.code, "whole API key" in wrong.err) == (4, True), wrong
    assert yaml.safe_load(file.read_text())["current"] == "weak"
    assert (await cli.call("config", "use", "here")).code == 0
    assert (await cli.call("config", "rm", "weak")).code == 0
    assert [row[:2] for row in (await cli.call("config", "contexts")).rows] == [["*", "here"], ["-", "there"]]
    assert (await cli.call("config", "use", "weak")).code == 3


async def test_errors_in_a_line(cli: Cli) -> None:
    for arguments, code, words in (
        (("get", "no-such-run"), 3, "octo: there is no run no-such-run"),
        (("get", "0b0e7a3c-0000-4000-8000-000000000001"), 3, "job-not-found"),
        (("run", "no-such-provider"), 3, "provider-not-found"),
        (("run", "acme", "--priority", "100000"), 2, "/priority"),
        (("schedules", "trigger", "acme"), 8, "octo: "),
    ):
        done = await cli.call(*arguments)
        assert (done.code, done.out) == (code, ""), (arguments, done)
        assert words in done.err, (arguments, done)
        assert "Traceback" not in done.err
