"""What the endpoints work with, made once by the lifespan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from octo_api.audit.reader import AuditReader
from octo_api.auth.api_keys import ApiKeyService
from octo_api.auth.keyring import KeyRing
from octo_api.auth.service import AuthService
from octo_api.cursor import CursorCodec
from octo_api.events.feed import Feed, StreamLimits
from octo_api.events.service import EventService
from octo_api.health import Health
from octo_api.jobs.changes import JobChanges
from octo_api.jobs.explainer import Explainer
from octo_api.jobs.file_manifest import FileManifests
from octo_api.jobs.listing import JobLists
from octo_api.jobs.logs.archiver import LogArchiver
from octo_api.jobs.logs.reader import JobLogs
from octo_api.jobs.many import ManyJobs
from octo_api.jobs.service import JobService
from octo_api.ledger.service import LedgerService
from octo_api.limits.buckets import Buckets
from octo_api.live import LiveAnswers
from octo_api.providers.service import ProviderService
from octo_api.reports.authorize import ReportAuthorizer
from octo_api.reports.service import ReportService
from octo_api.schedules.service import ScheduleService
from octo_api.summary.service import SummaryService
from octo_api.verifications.service import VerificationService
from octo_api.webhooks.service import WebhookService
from octo_core.db.session import Database


@dataclass(frozen=True, slots=True)
class Services:
    """All services of one process."""

    clock: Callable[[], datetime]
    database: Database
    namespace: str
    """Where a request goes that names no namespace."""
    auth: AuthService
    api_keys: ApiKeyService
    key_ring: KeyRing
    audit: AuditReader
    callers: Buckets | None
    """Each caller's share of this process, if there is a limit."""
    jobs: JobService
    events: EventService
    job_lists: JobLists
    summary: SummaryService
    feed: Feed
    stream_limits: StreamLimits
    live: LiveAnswers
    webhooks: WebhookService
    longest_wait: int
    """Seconds that a request may have its answer held back, at its own wish."""
    job_changes: JobChanges
    many_jobs: ManyJobs
    file_manifests: FileManifests
    explainer: Explainer
    job_logs: JobLogs
    log_archiver: LogArchiver
    providers: ProviderService
    verifications: VerificationService
    ledger: LedgerService
    schedules: ScheduleService
    reports: ReportService
    report_authorizer: ReportAuthorizer
    cursors: CursorCodec
    health: Health
