"""What the console shows in its tests: an archive of runs, providers of all sorts, and runs that a test brings on.

The API server, Postgres and the api are real. What the controller and its mirror write is written here, so that a test
says when it happens.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from octo_api.auth.credentials import PlainKey, hash_secret, new_key
from octo_core.db import api_keys, files, job_logs
from octo_core.db.api_keys import ApiKey
from octo_core.db.job_logs import PodLog
from octo_core.db.projection import project
from octo_core.db.session import Database
from octo_core.domain.model import rfc3339
from octo_core.domain.names import API_VERSION
from octo_core.domain.report import FileOutcome, FileResult
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS, OCTOPROVIDERS

Raw = dict[str, Any]
PEPPER = "p" * 32
ARCHIVED = 130
FAILED_RUN = "broken"
"""Uid of the archived run that failed, with files, attempts and logs."""
GOOD_RUN = "whole"
LOG = (
    "".join(f"2026-01-02T03:04:{n % 60:02}Z line {n} of the log\n" for n in range(400))
    + "2026-01-02T03:05:00Z the end, \x1b[31mno colours\n"
)


def iso(moment: datetime) -> str:
    """As Kubernetes writes it."""
    return rfc3339(moment.replace(microsecond=0))


@dataclass(slots=True)
class World:
    """The stores behind the api that the console is served by."""

    database: Database
    kube: KubeClient
    namespace: str
    url: str
    key: PlainKey
    issuer: str
    """Where the identity provider is."""
    _keys: int = 0
    _names: int = 0

    def fresh(self, name: str) -> str:
        """A name that nothing has yet, however often a test runs."""
        self._names += 1
        return f"{name}-{self._names}"

    async def another_key(self, *scopes: str, expires_at: datetime | None = None) -> PlainKey:
        """A key with these scopes only."""
        self._keys += 1
        plain = new_key(self._keys.to_bytes(2, "big") + hashlib.sha512(self.url.encode()).digest()[:38])
        key = ApiKey(plain.id, "reader", hash_secret(PEPPER, plain.secret), scopes, (self.namespace,), expires_at)
        async with self.database.transaction() as session:
            await api_keys.put(session, key)
        return plain

    async def job(self, name: str, provider: str = "bank", **status: Any) -> str:
        """An OctoJob in the cluster and in the mirror; its uid."""
        body = {
            "apiVersion": API_VERSION,
            "kind": OCTOJOBS.kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"providerRef": {"name": provider}, "requestedBy": "night-shift"},
        }
        made = await self.kube.create(OCTOJOBS, self.namespace, body)
        await self.bring(name, **{"state": "Pending", **status})
        uid: str = made["metadata"]["uid"]
        return uid

    async def bring(self, name: str, **status: Any) -> Raw:
        """What the controller would write of a run, and the mirror after it."""
        now = iso(datetime.now(UTC))
        conditions = status.pop("conditions", [])
        body = {
            "status": {
                "conditions": [{"lastTransitionTime": now, "message": "", **each} for each in conditions],
                **status,
            }
        }
        raw = await self.kube.patch(OCTOJOBS, self.namespace, name, body, subresource="status")
        await self.mirror(raw)
        return raw

    async def mirror(self, *raws: Raw) -> None:
        """Write them into Postgres, with their events."""
        async with self.database.transaction() as session:
            await project(session, raws, now=datetime.now(UTC))

    async def spec(self, name: str) -> Raw:
        """What the cluster holds of a run."""
        spec: Raw = (await self.kube.get(OCTOJOBS, self.namespace, name))["spec"]
        return spec

    async def named(self, uid: str) -> str:
        """The name of a run that somebody else made."""
        page = await self.kube.list_page(OCTOJOBS, self.namespace)
        return next(str(raw["metadata"]["name"]) for raw in page["items"] if raw["metadata"]["uid"] == uid)


async def furnish(world: World) -> None:
    """Providers, an archive, and two runs in all their detail."""
    await asyncio.gather(*(_provider(world, name, spec, status) for name, spec, status in _providers()))
    now = datetime.now(UTC).replace(microsecond=0)
    await world.mirror(*(_archived(world, number, now) for number in range(ARCHIVED)))
    for step in _steps(world, now):
        await world.mirror(step)
    await world.mirror(*_detailed(world, now))
    async with world.database.transaction() as session:
        for uid, count in ((GOOD_RUN, 3), (FAILED_RUN, 140)):
            await files.record(session, uid, 2 if uid == FAILED_RUN else 1, [_file(uid, n, now) for n in range(count)])
        for attempt in (1, 2):
            said = LOG if attempt == 2 else "2026-01-02T03:04:00Z the first attempt\n"
            log = PodLog(f"pod-{attempt}", FAILED_RUN, attempt, 0, now, said, None, True)
            await job_logs.put(session, log, now=now)


async def _provider(world: World, name: str, spec: Raw, status: Raw) -> None:
    meta = {"name": name, "namespace": world.namespace}
    body = {"apiVersion": API_VERSION, "kind": OCTOPROVIDERS.kind, "metadata": meta, "spec": spec}
    await world.kube.create(OCTOPROVIDERS, world.namespace, body)
    await world.kube.patch(OCTOPROVIDERS, world.namespace, name, {"status": status}, subresource="status")


def _providers() -> list[tuple[str, Raw, Raw]]:
    now = datetime.now(UTC).replace(microsecond=0)

    def sftp(host: str, **more: Any) -> Raw:
        return {
            "source": {
                "sftp": {
                    "host": host,
                    "username": "octo",
                    "paths": ["outgoing"],
                    "credentialsSecretRef": {"name": "sftp"},
                    "hostKeys": [f"{host} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqHbEXAMPLE"],
                }
            },
            "destination": {
                "s3": {"bucket": "landing", "prefix": host.split(".")[0], "credentialsSecretRef": {"name": "s3"}}
            },
            **more,
        }

    def status(*, success: timedelta, last: timedelta, following: timedelta, ready: bool = True) -> Raw:
        reason = ("True", "LastRunSucceeded", "") if ready else ("False", "SecretMissing", "There is no Secret sftp.")
        condition = {
            "type": "Ready",
            "lastTransitionTime": iso(now),
            **dict(zip(("status", "reason", "message"), reason, strict=True)),
        }
        return {
            "conditions": [condition],
            "lastSuccessTime": iso(now - success),
            "schedule": {
                "cron": "0 * * * *",
                "timeZone": "UTC",
                "lastScheduleTime": iso(now - last),
                "nextScheduleTime": iso(now + following),
            },
        }

    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    hourly = {"schedule": {"cron": "0 * * * *", "timeZone": "UTC"}}
    berlin = {"schedule": {"cron": "30 6 * * 1-5", "timeZone": "Europe/Berlin"}}
    container = {"container": {"image": "registry.invalid/rates:7"}}
    return [
        (
            "bank",
            sftp("sftp.bank.example", **hourly),
            status(success=20 * minute, last=25 * minute, following=35 * minute),
        ),
        (
            "broker",
            sftp("files.broker.example", **berlin),
            status(success=30 * hour, last=3 * hour, following=21 * hour),
        ),
        ("exchange", sftp("sftp.exchange.example", **hourly), status(success=5 * hour, last=5 * hour, following=-hour)),
        ("lender", sftp("lender.example"), {}),
        ("rates", container, status(success=hour, last=hour, following=hour, ready=False)),
    ]


def _archived(world: World, number: int, now: datetime) -> Raw:
    """One of many, the newest first; every ninth failed, every twentieth was cancelled."""
    state = "Failed" if number % 9 == 4 else "Cancelled" if number % 20 == 7 else "Succeeded"
    made = now - timedelta(hours=5 * number + 2, minutes=number % 50)
    took = timedelta(seconds=37 * (number % 11) + 5)
    done = 12 + number % 40
    status: Raw = {
        "state": state,
        "attempt": 1 + number % 9 // 4,
        "startTime": iso(made + timedelta(seconds=2)),
        "completionTime": iso(made + took),
        "progress": {
            "filesListed": done + 8,
            "filesSelected": done,
            "filesDone": done - (3 if state == "Failed" else 0),
            "filesFailed": 3 if state == "Failed" else 0,
            "bytesDownloaded": done * 7_340_032,
            "bytesUploaded": done * 21_020_032,
            "summary": f"{done - (3 if state == 'Failed' else 0)}/{done}",
        },
    }
    if state == "Failed":
        status["failure"] = _failure()
    names = ("bank", "broker", "exchange")
    return raw_run(world, f"run-{number:03}", f"archived-{number:03}", names[number % 3], made, status, number + 10)


def _failure() -> Raw:
    return {
        "category": "Decrypt",
        "reason": "NoSecretKey",
        "message": "3 of 140 files are encrypted to a key that Octo does not have: 7F3A91C2.",
        "resolution": "Give the provider's key Secret the private key 7F3A91C2, or ask the sender to encrypt to yours.",
        "retryable": False,
        "exitCode": 32,
    }


def _steps(world: World, now: datetime) -> list[Raw]:
    """What the mirror saw of the run that failed, on its way."""
    ways = [("Pending", 0), ("Starting", 1), ("Running", 1), ("Retrying", 1), ("Running", 2)]
    began = now - timedelta(minutes=47)
    return [
        raw_run(world, FAILED_RUN, "broker-nightly", "broker", began, {"state": state, "attempt": attempt}, 900 + place)
        for place, (state, attempt) in enumerate(ways)
    ]


def _detailed(world: World, now: datetime) -> list[Raw]:
    began = now - timedelta(minutes=47)
    times = [iso(began + timedelta(seconds=seconds)) for seconds in (1, 260, 320, 900)]
    attempts = [
        {
            "number": 1,
            "podName": "broker-nightly-1-x7k2p",
            "startTime": times[0],
            "completionTime": times[1],
            "exitCode": 20,
            "category": "RemoteUnavailable",
            "reason": "ConnectionLost",
            "message": "files.broker.example closed the connection.",
        },
        {
            "number": 2,
            "podName": "broker-nightly-2-q9m4d",
            "startTime": times[2],
            "completionTime": times[3],
            "exitCode": 32,
            "category": "Decrypt",
            "reason": "NoSecretKey",
            "logTail": "broker/2026-11-28/positions_0137.csv.gpg: no secret key 7F3A91C2\n137 stored, 3 failed\n",
        },
    ]
    progress = {"filesListed": 2000, "filesSelected": 140, "filesSkipped": 1860, "filesDone": 137, "filesFailed": 3}
    volume = {"fileRetries": 2, "bytesDownloaded": 812_340_224, "bytesUploaded": 2_512_340_224, "summary": "137/140"}
    condition = {
        "type": "Succeeded",
        "status": "False",
        "reason": "NoSecretKey",
        "message": "3 files failed.",
        "lastTransitionTime": times[3],
    }
    failed = {
        "attempt": 2,
        "attempts": attempts,
        "startTime": times[0],
        "completionTime": times[3],
        "progress": {**progress, **volume},
        "failure": _failure(),
        "manifestRef": {"uri": "s3://landing/broker/manifests/broker-nightly.jsonl", "sha256": "ab" * 32},
        "conditions": [condition],
    }
    good = {
        "attempt": 1,
        "attempts": [{"number": 1, "startTime": times[0], "completionTime": times[1], "exitCode": 0}],
        "startTime": times[0],
        "completionTime": times[1],
        "progress": {
            "filesSelected": 3,
            "filesDone": 3,
            "bytesDownloaded": 3000,
            "bytesUploaded": 9000,
            "summary": "3/3",
        },
    }
    return [
        raw_run(world, FAILED_RUN, "broker-nightly", "broker", began, {**failed, "state": "Failed"}, 1000),
        raw_run(world, GOOD_RUN, "bank-hourly", "bank", began, {**good, "state": "Succeeded"}, 1000),
    ]


def raw_run(world: World, uid: str, name: str, provider: str, made: datetime, status: Raw, version: int) -> Raw:
    return {
        "metadata": {
            "uid": uid,
            "namespace": world.namespace,
            "name": name,
            "resourceVersion": str(version),
            "creationTimestamp": iso(made),
            "labels": {},
        },
        "spec": {"providerRef": {"name": provider}, "requestedBy": "night-shift"},
        "status": status,
    }


def _file(uid: str, number: int, now: datetime) -> FileResult:
    failed = uid == FAILED_RUN and number >= 137
    name = f"positions_{number:04}.csv"
    return FileResult.model_validate(
        {
            "sourcePath": f"outgoing/2026-11-28/{name}.gz.gpg",
            "outcome": FileOutcome.FAILED if failed else FileOutcome.STORED,
            "key": None if failed else f"broker/data/csv/outgoing/2026-11-28/{name}",
            "sourceSize": 5_802_430 + number * 977,
            "sourceSha256": hashlib.sha256(f"source {number}".encode()).hexdigest(),
            "size": None if failed else 17_945_288 + number * 4099,
            "sha256": None if failed else hashlib.sha256(f"object {number}".encode()).hexdigest(),
            "category": "Decrypt" if failed else None,
            "message": "It is encrypted to a key that Octo does not have: 7F3A91C2." if failed else None,
            "finishedAt": now - timedelta(minutes=40) + timedelta(seconds=number),
        }
    )
