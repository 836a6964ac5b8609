"""The one interface that commands know: what can be asked of an Octo, by whichever way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    # What they say is in the form of REST, whichever way it came. Not imported at run time: it costs half a second.
    from octo_cli.errors import CliError
    from octo_client import models


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_id(reference: str) -> bool:
    """Whether this is the id of a run, not a name."""
    return _ID.fullmatch(reference) is not None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which runs; all of it must hold."""

    provider: str | None = None
    states: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    labels: str | None = None
    requested_by: str | None = None
    schedule: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A run to ask for; ``options`` are of the OctoJob's spec, as it spells them."""

    provider: str
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class LogWish:
    """What is asked for of a log; ``attempt`` None is the latest."""

    follow: bool = False
    attempt: int | None = None
    worker: int = 0
    tail: int | None = None
    since_seconds: int | None = None
    timestamps: bool = False


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files of a run."""

    outcome: str | None = None
    category: str | None = None
    path_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """An API key to make."""

    subject: str
    scopes: tuple[str, ...]
    namespaces: tuple[str, ...]
    description: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows of the audit log."""

    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    resource: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Backend(Protocol):
    """An Octo. What it yields comes page by page, as far as it is read.

    Methods raise what their library raises; ``error_of`` says it to a person. What a way does not offer raises
    NotOfferedError.
    """

    def close(self) -> None:
        """Let go of all connections."""
        ...

    def error_of(self, error: Exception) -> CliError | None:
        """What to tell a person of this; None if it is not of this backend's making."""
        ...

    def job(self, reference: str) -> models.Job:
        """The run with this id, or the newest with this name. Raises NotFoundError."""
        ...

    def jobs(self, wanted: JobFilter) -> Iterable[models.Job]:
        """Runs, the newest first."""
        ...

    def run(self, order: Order) -> models.Job:
        """Ask for a run; with the same idempotency key again it is the same run."""
        ...

    def cancel(self, job: models.Job, *, reason: str | None, force: bool) -> models.Job:
        """Ask for the end of a run."""
        ...

    def rerun(self, job: models.Job, *, failed_files: bool, idempotency_key: str | None) -> models.Job:
        """Ask for it once more."""
        ...

    def explain(self, job: models.Job) -> models.Explanation:
        """Why it is in its state, and what to do."""
        ...

    def log(self, job: models.Job, wish: LogWish) -> Iterator[str]:
        """Lines of its log, without their ends."""
        ...

    def files(self, job: models.Job, wanted: FileFilter) -> Iterable[models.JobFile]:
        """What became of each file."""
        ...

    def providers(self) -> Iterable[models.Provider]:
        """All providers, by name."""
        ...

    def provider(self, name: str) -> models.Provider:
        """One. Raises NotFoundError."""
        ...

    def verify(self, name: str) -> models.Verification:
        """Begin to try every step of a run."""
        ...

    def checks(self, job_id: str) -> models.Verification:
        """How far a verification is."""
        ...

    def ledger(self, name: str, *, path_prefix: str | None) -> Iterable[models.LedgerEntry]:
        """What is stored of a provider's files."""
        ...

    def schedule(self, name: str, *, count: int) -> models.ProviderSchedule:
        """When it runs by itself."""
        ...

    def trigger(self, name: str, *, idempotency_key: str | None) -> models.Job:
        """Run it now as its schedule would."""
        ...

    def backfill(self, name: str, start: datetime, end: datetime, *, dry_run: bool) -> models.Backfill:
        """Make the runs of past ticks."""
        ...

    def keys(self, *, subject: str | None) -> Iterable[models.ApiKey]:
        """API keys, the newest first."""
        ...

    def create_key(self, order: KeyOrder) -> models.NewApiKey:
        """Make one."""
        ...

    def rotate_key(self, key_id: str, *, overlap_seconds: int | None) -> models.NewApiKey:
        """Make its successor."""
        ...

    def revoke_key(self, key_id: str) -> models.ApiKey:
        """End it."""
        ...

    def audit(self, wanted: AuditFilter) -> Iterable[models.AuditRecord]:
        """Rows of the audit log, the newest first."""
        ...
