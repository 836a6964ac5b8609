"""The composition root: what the process holds while it serves."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import FastAPI

from octo_api.audit.intents import Intents
from octo_api.audit.log import AuditLog
from octo_api.audit.reader import AuditReader
from octo_api.audit.repair import AuditRepair
from octo_api.auth import keyring
from octo_api.auth.assembly import Auth, assemble
from octo_api.auth.keys import KnownKeys
from octo_api.background import repeat, until_done
from octo_api.cursor import CursorCodec
from octo_api.events.feed import Feed, StreamLimits
from octo_api.events.service import EventService
from octo_api.events.tailer import Tailer
from octo_api.health import Health
from octo_api.jobs.changes import JobChanges
from octo_api.jobs.explainer import Explainer
from octo_api.jobs.file_manifest import FileManifests
from octo_api.jobs.listing import JobLists
from octo_api.jobs.logs.archiver import LogArchiver
from octo_api.jobs.logs.pods import PodLogs
from octo_api.jobs.logs.reader import JobLogs
from octo_api.jobs.many import ManyJobs
from octo_api.jobs.service import JobService
from octo_api.jobs.submission import Submission
from octo_api.jobs.sweeper import Sweeper
from octo_api.ledger.service import LedgerService
from octo_api.limits.buckets import Buckets
from octo_api.live import LiveAnswers
from octo_api.metrics import Metrics
from octo_api.providers.service import ProviderService
from octo_api.reports.authorize import ReportAuthorizer
from octo_api.reports.service import ReportService
from octo_api.schedules.service import ScheduleService
from octo_api.server.drain import Drain
from octo_api.services import Services
from octo_api.settings import ApiSettings
from octo_api.summary import service as summary
from octo_api.summary.service import SummaryService
from octo_api.verifications.service import VerificationService
from octo_api.webhooks import assembly as webhook_assembly
from octo_api.webhooks.assembly import Webhooks
from octo_core.db import migrate
from octo_core.db.events_listener import listen
from octo_core.db.group_commit import GroupCommit
from octo_core.db.session import Database
from octo_core.db.submissions import AUDIT, CLAIM, INTENT, RECORD
from octo_core.domain.errors import DatabaseUnavailableError
from octo_core.kube.client import KubeClient

_FLUSH_SECONDS = 5.0
_EXPIRE_SECONDS = 300.0
_PRUNE_SECONDS = 3600.0
_KUBE_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Process:
    """What comes from outside: settings, time, randomness, and what lives as long as the application."""

    settings: ApiSettings
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]
    metrics: Metrics
    audit: AuditLog
    drain: Drain


@asynccontextmanager
async def serving(app: FastAPI, process: Process) -> AsyncIterator[None]:
    """Make the services and start the work beside the requests; end both afterwards.

    Waits for neither Postgres nor the cluster: ``/readyz`` tells when they are there.
    """
    settings = process.settings
    async with AsyncExitStack() as stack:
        database = Database(settings, application_name="octo-api")
        stack.push_async_callback(database.close)
        kube = await KubeClient.connect(settings.kubeconfig, timeout=_KUBE_TIMEOUT_SECONDS)
        stack.push_async_callback(kube.close)
        stack.push_async_callback(_flush, process.audit, database)
        claims = await stack.enter_async_context(GroupCommit(database, CLAIM, INTENT))
        records = await stack.enter_async_context(GroupCommit(database, RECORD, AUDIT))
        process.audit.write_with(records)
        intents = Intents(claims, clock=process.clock, new_id=lambda: process.random(12).hex(), metrics=process.metrics)
        submission = Submission(kube, clock=process.clock)
        first_key = asyncio.Event()
        auth = assemble(
            settings,
            database=database,
            kube=kube,
            namespace=settings.namespace,
            intents=intents,
            clock=process.clock,
            random=process.random,
        )
        webhooks = webhook_assembly.assemble(
            settings,
            database,
            intents=intents,
            clock=process.clock,
            random=process.random,
            metrics=process.metrics,
        )
        stack.push_async_callback(webhooks.sender.close)
        services = _services(process, database, kube, submission, claims, records, intents, auth, webhooks, first_key)
        sweeper = Sweeper(
            database,
            submission,
            metrics=process.metrics,
            clock=process.clock,
            older_than=timedelta(seconds=settings.sweep_after_seconds),
        )
        repair = AuditRepair(
            database,
            kube,
            process.audit,
            metrics=process.metrics,
            clock=process.clock,
            older_than=timedelta(seconds=settings.audit_repair_after_seconds),
        )
        app.state.services = services
        tailer = Tailer(
            database,
            services.feed,
            clock=process.clock,
            kept=settings.event_retention,
            advanced=webhooks.deliverer.hint,
        )
        process.drain.tell(services.feed.close)

        _start(stack, process.audit.run(database))
        _start(stack, repeat("sweep of claims", sweeper.sweep, every=settings.sweep_interval_seconds))
        _start(stack, repeat("repair of the audit log", repair.round, every=settings.sweep_interval_seconds))
        archiver = services.log_archiver
        _start(stack, repeat("archive of logs", archiver.round, every=settings.log_archive_interval_seconds))
        _start(stack, repeat("forgetting of logs", archiver.forget, every=_PRUNE_SECONDS))
        _start(stack, tailer.run())
        _start(stack, listen(settings, tailer.hint, application_name="octo-api-listen"))
        _start(stack, repeat("expiry of events", tailer.expire, every=_EXPIRE_SECONDS))
        _start(stack, repeat("signing keys", auth.key_ring.refresh, every=keyring.REFRESH.total_seconds()))
        _start(stack, repeat("pruning of the audit log", services.audit.prune, every=_PRUNE_SECONDS))
        _start(stack, repeat("folding of days", services.summary.fold, every=summary.FOLD_SECONDS))
        _start(stack, webhooks.deliverer.run())
        _start(stack, repeat("forgetting of deliveries", webhooks.deliverer.forget, every=_EXPIRE_SECONDS))
        _start(stack, _put_first_key(settings, auth.known_keys, first_key))
        yield


async def _put_first_key(settings: ApiSettings, keys: KnownKeys, done: asyncio.Event) -> None:
    if settings.bootstrap_api_key is not None:
        text = settings.bootstrap_api_key.get_secret_value()
        await until_done("first API key", lambda: keys.put_first(text))
    done.set()


def _services(
    process: Process,
    database: Database,
    kube: KubeClient,
    submission: Submission,
    claims: GroupCommit,
    records: GroupCommit,
    intents: Intents,
    auth: Auth,
    webhooks: Webhooks,
    first_key: asyncio.Event,
) -> Services:
    settings, clock = process.settings, process.clock
    feed = Feed()
    process.metrics.event_streams.set_function(lambda: feed.streams)
    providers = ProviderService(kube, intents=intents)
    cursors = CursorCodec(settings.token_signing_key.get_secret_value())

    def new_key() -> str:
        return base64.b32encode(process.random(20)).decode()

    pod_logs = PodLogs(kube)
    changes = JobChanges(database, kube, intents=intents, clock=clock)
    jobs = JobService(
        database,
        kube,
        providers=providers,
        submission=submission,
        claims=claims,
        records=records,
        intents=intents,
        metrics=process.metrics,
        clock=clock,
        new_key=new_key,
        idempotency_ttl=settings.idempotency_ttl,
    )
    return Services(
        clock=clock,
        database=database,
        namespace=settings.namespace,
        auth=auth.service,
        api_keys=auth.api_keys,
        key_ring=auth.key_ring,
        audit=AuditReader(database, kept=timedelta(days=settings.audit_retention_days), clock=clock),
        callers=Buckets(size=settings.rate_limit_requests, fill_seconds=settings.rate_limit_window_seconds, clock=clock)
        if settings.rate_limit_requests
        else None,
        jobs=jobs,
        events=EventService(database, feed),
        feed=feed,
        stream_limits=StreamLimits(settings.max_event_streams, settings.event_heartbeat_seconds),
        live=LiveAnswers(feed, most=settings.max_live_answers, check_seconds=settings.event_heartbeat_seconds),
        webhooks=webhooks.service,
        job_lists=JobLists(database, cursors),
        summary=SummaryService(database),
        longest_wait=settings.longest_wait_seconds,
        job_changes=changes,
        many_jobs=ManyJobs(
            database, jobs, changes, namespace=settings.namespace, clock=clock, ttl=settings.idempotency_ttl
        ),
        file_manifests=FileManifests(database),
        explainer=Explainer(database, kube, clock=clock),
        job_logs=JobLogs(database, pod_logs),
        log_archiver=LogArchiver(
            database,
            pod_logs,
            namespace=settings.namespace,
            clock=clock,
            kept=timedelta(days=settings.log_retention_days),
        ),
        providers=providers,
        verifications=VerificationService(database),
        ledger=LedgerService(database, providers, new_key=new_key),
        schedules=ScheduleService(database, kube, intents=intents, clock=clock),
        reports=ReportService(
            database, kube, clock=clock, progress_interval=timedelta(seconds=settings.progress_interval_seconds)
        ),
        report_authorizer=ReportAuthorizer(kube, failed=auth.failed, clock=clock),
        cursors=cursors,
        health=Health(database, kube, schema=migrate.head(), first_key=first_key, drain=process.drain),
    )


def _start(stack: AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


async def _flush(audit: AuditLog, database: Database) -> None:
    with suppress(DatabaseUnavailableError, TimeoutError):
        async with asyncio.timeout(_FLUSH_SECONDS):
            await audit.flush(database)
