"""The run document: what the main logic is told, resolved from provider and job once per attempt.

The controller writes it as JSON to the pod's annotation ``octo.dev/run``; the downward API shows it to
the container as a file. It holds no secret: those are mounted at fixed places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from octo_core.domain.job import (
    Concurrency,
    JobMode,
    JobSelection,
    OctoJobSpec,
    RetryPolicy,
    RunOptions,
    Transfer,
    Ttl,
)
from octo_core.domain.model import Model, Time
from octo_core.domain.provider import Decrypt, Destination, OctoProviderSpec, Source, Unpack
from octo_core.domain.selection import Refetch, SelectionPolicy

T = TypeVar("T")

RUN_DIR = "/run/octo/run"
RUN_FILE = f"{RUN_DIR}/run.json"
SECRETS_DIR = "/run/octo/secrets"
"""Below it: sftp/{password,privateKey,passphrase,certificate}, openpgp/{privateKey,passphrase,signerKeys},
openpgp/additional/<n>/{privateKey,passphrase} counted from 0, s3/{accessKeyId,secretAccessKey,sessionToken};
each file is there only if the Secret has it."""
TOKEN_FILE = "/run/octo/token/token"  # noqa: S105 - a path, not a token
MEMORY_DIR = "/run/octo/memory"
"""A small memory-backed volume, the only place where key material may be unwrapped to."""
TERMINATION_LOG = "/dev/termination-log"

FOR_EVER_SECONDS = 100 * 365 * 86_400
"""Deadlines and times to live that are longer are this long: calendars end, and Kubernetes counts in nanoseconds."""


class RunIdentity(Model):
    """Which attempt of which OctoJob this is."""

    namespace: str
    name: str
    uid: str
    attempt: int
    provider: str
    created_at: Time
    """When the OctoJob was made; what an attempt of it stored is younger."""


class RunSelection(Model):
    """Which files to take, fully resolved."""

    paths: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    policy: SelectionPolicy
    min_age_seconds: int
    dry_run: bool
    stability_seconds: int = 0
    files: tuple[str, ...] = ()
    modified_after: Time | None = None
    modified_before: Time | None = None
    max_files: int | None = None
    max_bytes: int | None = None
    refetch: tuple[Refetch, ...] = ()


class Run(Model):
    """Everything the worker needs, except secrets. ``source`` is None for a container provider."""

    job: RunIdentity
    mode: JobMode = JobMode.RUN
    parameters: dict[str, str]
    source: Source | None
    decrypt: Decrypt | None
    unpack: Unpack
    destination: Destination | None
    selection: RunSelection
    transfer: Transfer
    report_url: str | None = None
    """Base URL of the api, or None where no reports are wanted."""


@dataclass(frozen=True, slots=True)
class ResolvedOptions:
    """Run options with every default filled in; what the controller goes by."""

    priority: int
    concurrency_key: str
    concurrency: Concurrency
    retry_policy: RetryPolicy
    pending_deadline_seconds: int
    active_deadline_seconds: int
    attempt_deadline_seconds: int
    termination_grace_period_seconds: int
    queue_name: str | None
    ttl: Ttl
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class Turn:
    """What decides when a run's turn comes."""

    priority: int
    concurrency_key: str
    concurrency: Concurrency


def _pick(own: T | None, given: T | None, last: T) -> T:
    return own if own is not None else given if given is not None else last


def _ttl(ttl: Ttl) -> Ttl:
    success, failure = ttl.after_success_seconds, ttl.after_failure_seconds
    if max(success, failure) <= FOR_EVER_SECONDS:
        return ttl
    return Ttl(
        after_success_seconds=min(success, FOR_EVER_SECONDS), after_failure_seconds=min(failure, FOR_EVER_SECONDS)
    )


def resolve_turn(spec: OctoJobSpec, provider: OctoProviderSpec | None) -> Turn:
    """The part of ``resolve_options`` that is asked for with every change of a run."""
    defaults = provider.job_defaults if provider else _NO_DEFAULTS
    concurrency = _pick(spec.concurrency, defaults.concurrency, _CONCURRENCY)
    return Turn(_pick(spec.priority, defaults.priority, 0), concurrency.key or spec.provider_ref.name, concurrency)


_NO_DEFAULTS, _CONCURRENCY, _RETRIES, _TTL, _TRANSFER = RunOptions(), Concurrency(), RetryPolicy(), Ttl(), Transfer()


def resolve_options(spec: OctoJobSpec, provider: OctoProviderSpec | None) -> ResolvedOptions:
    """The job's own options, else the provider's defaults, else Octo's; ``provider`` None while it is missing."""
    defaults, turn = provider.job_defaults if provider else _NO_DEFAULTS, resolve_turn(spec, provider)
    return ResolvedOptions(
        priority=turn.priority,
        concurrency_key=turn.concurrency_key,
        concurrency=turn.concurrency,
        retry_policy=_pick(spec.retry_policy, defaults.retry_policy, _RETRIES),
        pending_deadline_seconds=min(
            _pick(spec.pending_deadline_seconds, defaults.pending_deadline_seconds, 900), FOR_EVER_SECONDS
        ),
        active_deadline_seconds=min(
            _pick(spec.active_deadline_seconds, defaults.active_deadline_seconds, 86_400), FOR_EVER_SECONDS
        ),
        attempt_deadline_seconds=min(
            _pick(spec.attempt_deadline_seconds, defaults.attempt_deadline_seconds, 21_600), FOR_EVER_SECONDS
        ),
        termination_grace_period_seconds=_pick(
            spec.termination_grace_period_seconds, defaults.termination_grace_period_seconds, 60
        ),
        queue_name=_pick(spec.queue_name, defaults.queue_name, None),
        ttl=_ttl(_pick(spec.ttl, defaults.ttl, _TTL)),
        transfer=_pick(spec.transfer, defaults.transfer, _TRANSFER),
    )


def resolve_selection(selection: JobSelection, provider: OctoProviderSpec) -> RunSelection:
    """The job's choice of files over the provider's."""
    sftp, given = provider.source.sftp if provider.source else None, provider.selection

    def pick(own: T | None, default: T) -> T:
        return own if own is not None else default

    return RunSelection(
        paths=selection.paths or (sftp.paths if sftp else ()),
        include=pick(selection.include, sftp.include if sftp else ()),
        exclude=pick(selection.exclude, sftp.exclude if sftp else ()),
        policy=selection.policy or given.policy,
        min_age_seconds=pick(selection.min_age_seconds, given.min_age_seconds),
        stability_seconds=pick(selection.stability_seconds, given.stability_seconds),
        files=selection.files,
        modified_after=selection.modified_after,
        modified_before=selection.modified_before,
        max_files=pick(selection.max_files, given.max_files),
        max_bytes=pick(selection.max_bytes, given.max_bytes),
        dry_run=selection.dry_run,
        refetch=provider.refetch,
    )


def resolve_run(job: RunIdentity, spec: OctoJobSpec, provider: OctoProviderSpec, *, report_url: str | None) -> Run:
    """The run document of one attempt. What moves nothing, one worker does as well as many."""
    transfer = resolve_options(spec, provider).transfer
    if spec.selection.dry_run or spec.mode is JobMode.VERIFY:
        transfer = transfer.model_copy(update={"parallelism": 1})
    return Run(
        job=job,
        mode=spec.mode,
        parameters=spec.parameters,
        source=provider.source,
        decrypt=provider.decrypt,
        unpack=provider.unpack,
        destination=provider.destination,
        selection=resolve_selection(spec.selection, provider),
        transfer=transfer,
        report_url=report_url,
    )
