"""The columns of each table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from octo_cli.show.text import size
from octo_cli.times import short

if TYPE_CHECKING:
    from octo_client import models

T = TypeVar("T")
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A head, and what stands below it for an item at a time."""

    head: str
    cell: Callable[[T, datetime], str | None]
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Table(Generic[T]):
    """How a kind of thing is listed, and what names one."""

    columns: Sequence[Column[T]]
    name: Callable[[T], str]

    def heads(self, *, wide: bool) -> list[str]:
        """Of the columns that are shown."""
        return [column.head for column in self.columns if wide or not column.wide]

    def cells(self, item: T, now: datetime, *, wide: bool) -> list[str]:
        """A row. What is not known is a dash."""
        return [column.cell(item, now) or NOTHING for column in self.columns if wide or not column.wide]


def age(at: datetime | None, now: datetime) -> str | None:
    """How long ago."""
    return None if at is None else short(now - at)


def until(at: datetime | None, now: datetime) -> str | None:
    """How long from now."""
    return None if at is None else short(at - now)


def stamp(at: datetime | None) -> str | None:
    """To the second, UTC."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _took(job: models.Job, now: datetime) -> str | None:
    return None if job.started_at is None else short((job.finished_at or now) - job.started_at)


def _bytes(job: models.Job) -> str | None:
    stored = job.progress.bytes_uploaded if job.progress else None
    return size(stored) if stored else None


def _why(job: models.Job) -> str | None:
    if job.failure is not None:
        return f"{job.failure.category}: {job.failure.message or job.failure.reason}"
    return next((each.message for each in job.conditions if each.type == "Succeeded" and each.message), None)


JOBS: Table[models.Job] = Table(
    (
        Column("NAME", lambda job, now: job.name),
        Column("PROVIDER", lambda job, now: job.provider),
        Column("STATE", lambda job, now: job.state.value),
        Column("REASON", lambda job, now: job.reason),
        Column("ATTEMPT", lambda job, now: str(job.attempt) if job.attempt else None),
        Column("FILES", lambda job, now: job.progress.summary if job.progress else None),
        Column("STORED", lambda job, now: _bytes(job)),
        Column("TOOK", _took),
        Column("AGE", lambda job, now: age(job.created_at, now)),
        Column("ID", lambda job, now: job.id, wide=True),
        Column("REQUESTED-BY", lambda job, now: job.requested_by, wide=True),
        Column("QUEUE", lambda job, now: str(job.queue_position) if job.queue_position else None, wide=True),
        Column("MESSAGE", lambda job, now: _why(job), wide=True),
    ),
    name=lambda job: job.name,
)

FILES: Table[models.JobFile] = Table(
    (
        Column("OUTCOME", lambda row, now: row.outcome.value),
        Column("SIZE", lambda row, now: size(row.size if row.size is not None else row.source_size)),
        Column("PATH", lambda row, now: f"{row.source_path}!{row.member}" if row.member else row.source_path),
        Column("KEY", lambda row, now: row.key or (f"{row.category}: {row.message}" if row.category else None)),
        Column("SHA256", lambda row, now: row.sha256, wide=True),
        Column("ATTEMPT", lambda row, now: str(row.attempt), wide=True),
        Column("FINISHED", lambda row, now: stamp(row.finished_at), wide=True),
    ),
    name=lambda row: row.key or row.source_path,
)


def _ready(provider: models.Provider) -> str | None:
    found = next((each for each in provider.conditions if each.type == "Ready"), None)
    if found is None:
        return None
    return found.status.value if found.status.value == "True" else f"{found.status.value} ({found.reason})"


def _cron(provider: models.Provider) -> str | None:
    schedule = provider.spec.get("schedule")
    if not schedule:
        return None
    cron = f"{schedule.get('cron')} {schedule.get('timeZone') or 'UTC'}"
    return f"{cron} (suspended)" if schedule.get("suspend") else cron


def _from(provider: models.Provider) -> str | None:
    sftp = (provider.spec.get("source") or {}).get("sftp") or {}
    return sftp.get("host") or (provider.spec.get("container") or {}).get("image")


def _to(provider: models.Provider) -> str | None:
    s3 = (provider.spec.get("destination") or {}).get("s3") or {}
    return f"s3://{s3['bucket']}/{s3.get('prefix') or ''}" if "bucket" in s3 else None


PROVIDERS: Table[models.Provider] = Table(
    (
        Column("NAME", lambda provider, now: provider.name),
        Column("TYPE", lambda provider, now: provider.type),
        Column("READY", lambda provider, now: _ready(provider)),
        Column("SCHEDULE", lambda provider, now: _cron(provider)),
        Column(
            "NEXT", lambda provider, now: stamp(provider.schedule.next_schedule_time) if provider.schedule else None
        ),
        Column("LAST-SUCCESS", lambda provider, now: age(provider.last_success_at, now)),
        Column("LAST-JOB", lambda provider, now: provider.last_job),
        Column("AGE", lambda provider, now: age(provider.created_at, now)),
        Column("FROM", lambda provider, now: _from(provider), wide=True),
        Column("TO", lambda provider, now: _to(provider), wide=True),
    ),
    name=lambda provider: provider.name,
)

CHECKS: Table[models.Check] = Table(
    (
        Column("STEP", lambda check, now: check.name),
        Column("OUTCOME", lambda check, now: check.outcome.value),
        Column("MESSAGE", lambda check, now: check.message),
        Column("WHAT-TO-DO", lambda check, now: check.resolution),
    ),
    name=lambda check: check.name,
)

LEDGER: Table[models.LedgerEntry] = Table(
    (
        Column("STORED", lambda row, now: stamp(row.stored_at)),
        Column("SIZE", lambda row, now: size(row.size) if row.size is not None else None),
        Column("PATH", lambda row, now: f"{row.source_path}!{row.member}" if row.member else row.source_path),
        Column("KEY", lambda row, now: row.key),
        Column("SHA256", lambda row, now: row.sha256, wide=True),
        Column("JOB", lambda row, now: row.job_id, wide=True),
    ),
    name=lambda row: row.source_path,
)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A provider that runs by the clock."""

    provider: models.Provider
    schedule: models.ProviderSchedule


def _next(item: Scheduled) -> datetime | None:
    return item.schedule.next_times[0] if item.schedule.next_times else None


def _status(item: Scheduled) -> models.ScheduleStatus | None:
    return item.schedule.status


SCHEDULES: Table[Scheduled] = Table(
    (
        Column("PROVIDER", lambda item, now: item.provider.name),
        Column("SCHEDULE", lambda item, now: _cron(item.provider)),
        Column("NEXT", lambda item, now: stamp(_next(item))),
        Column("IN", lambda item, now: until(_next(item), now)),
        Column("LAST", lambda item, now: stamp(found.last_schedule_time) if (found := _status(item)) else None),
        Column("LAST-JOB", lambda item, now: found.last_scheduled_job if (found := _status(item)) else None),
    ),
    name=lambda item: item.provider.name,
)

TICKS: Table[datetime] = Table(
    (
        Column("TIME", lambda tick, now: stamp(tick)),
        Column("IN", until),
    ),
    name=lambda tick: stamp(tick) or "",
)

BACKFILL: Table[models.BackfilledTick] = Table(
    (
        Column("TIME", lambda tick, now: stamp(tick.scheduled_time)),
        Column("JOB", lambda tick, now: tick.job_name),
        Column("MADE-NOW", lambda tick, now: "yes" if tick.created else "no"),
        Column("ID", lambda tick, now: tick.job_id, wide=True),
    ),
    name=lambda tick: tick.job_name,
)

KEYS: Table[models.ApiKey] = Table(
    (
        Column("ID", lambda key, now: key.id),
        Column("SUBJECT", lambda key, now: key.subject),
        Column("STATE", lambda key, now: key.state.value),
        Column("SCOPES", lambda key, now: ",".join(key.scopes)),
        Column("NAMESPACES", lambda key, now: ",".join(key.namespaces)),
        Column("LAST-USED", lambda key, now: age(key.last_used_at, now)),
        Column("EXPIRES-IN", lambda key, now: until(key.expires_at, now)),
        Column("AGE", lambda key, now: age(key.created_at, now)),
        Column("CREATED-BY", lambda key, now: key.created_by, wide=True),
        Column("DESCRIPTION", lambda key, now: key.description, wide=True),
    ),
    name=lambda key: key.id,
)

AUDIT: Table[models.AuditRecord] = Table(
    (
        Column("AT", lambda row, now: stamp(row.at)),
        Column("ACTOR", lambda row, now: row.actor),
        Column("ACTION", lambda row, now: row.action),
        Column("OUTCOME", lambda row, now: row.outcome.value),
        Column("STATUS", lambda row, now: str(row.status)),
        Column("RESOURCE", lambda row, now: row.resource),
        Column("NAMESPACE", lambda row, now: row.namespace, wide=True),
        Column("CLIENT", lambda row, now: row.client, wide=True),
        Column("REQUEST", lambda row, now: row.request_id, wide=True),
    ),
    name=lambda row: row.id,
)
