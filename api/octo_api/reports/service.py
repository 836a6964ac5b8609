"""A report's rows go to Postgres, its progress to the OctoJob."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from octo_api.reports.authorize import Reporter
from octo_core.db import checks, files, ledger, shards
from octo_core.db.session import Database
from octo_core.domain.errors import OctoError
from octo_core.domain.model import rfc3339
from octo_core.domain.report import Report
from octo_core.domain.status import Progress, State, total
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS

logger = logging.getLogger(__name__)

_CAPACITY = 10_000


class ReportService:
    """Takes reports of runs. Progress is written at most every so often for each run, the first time after as long:
    what ends sooner says at its end how far it came.

    Workers that share a run may each talk to another replica of the api, so what each said last is kept in Postgres.
    """

    def __init__(
        self, database: Database, kube: KubeClient, *, clock: Callable[[], datetime], progress_interval: timedelta
    ) -> None:
        self._database = database
        self._kube = kube
        self._clock = clock
        self._interval = progress_interval
        self._written: OrderedDict[str, datetime] = OrderedDict()

    async def take(self, reporter: Reporter, report: Report) -> None:
        """Keep a report. Raises DatabaseUnavailableError, upon which the worker keeps the rows and sends them again."""
        now, shared = self._clock(), reporter.shards > 1
        if report.files or report.checks or shared:
            async with self._database.transaction() as session:
                await files.record(session, reporter.job_uid, report.attempt, report.files)
                await checks.record(session, reporter.job_uid, report.attempt, report.checks)
                await ledger.record(
                    session,
                    namespace=reporter.namespace,
                    provider=reporter.provider,
                    job_uid=reporter.job_uid,
                    files=report.files,
                )
                if shared:
                    await shards.put(session, reporter.job_uid, report.attempt, report.shard, report.progress, now=now)
        last = self._written.get(reporter.job_uid, now)
        due = now - last >= self._interval
        # Before the write, so that reports which arrive meanwhile do not write too.
        self._written[reporter.job_uid] = now if due else last
        self._written.move_to_end(reporter.job_uid)
        if len(self._written) > _CAPACITY:
            self._written.popitem(last=False)
        if not due:
            return
        try:
            await self._write_progress(reporter, report, now)
        except OctoError as error:
            # Progress is a courtesy: a conflict or an absent cluster costs one update, and the next report brings it.
            self._written[reporter.job_uid] = last
            logger.info("progress not written", extra={"code": error.code, "job_uid": reporter.job_uid})

    async def _write_progress(self, reporter: Reporter, report: Report, now: datetime) -> None:
        job = await self._kube.get(OCTOJOBS, reporter.namespace, reporter.job_name)
        meta, status = job["metadata"], job.get("status", {})
        if (
            meta["uid"] != reporter.job_uid
            or State(status.get("state", State.PENDING)).terminal
            or status.get("attempt") != report.attempt
        ):
            return
        # Read after the OctoJob, whose version guards the write: so an older sum never replaces a newer one.
        progress = (await self._progress(reporter, report)).model_dump(mode="json", by_alias=True, exclude_none=True)
        await self._kube.patch(
            OCTOJOBS,
            reporter.namespace,
            reporter.job_name,
            {
                "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
                "status": {"progress": {"updatedAt": rfc3339(now), **progress}},
            },
            subresource="status",
        )

    async def _progress(self, reporter: Reporter, report: Report) -> Progress:
        """How far the attempt is, all its workers together."""
        if reporter.shards == 1:
            return report.progress
        async with self._database.transaction() as session:
            return total(await shards.progress(session, reporter.job_uid, report.attempt))
