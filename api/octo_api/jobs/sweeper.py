"""Finishes what a crash between claim and OctoJob left behind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from octo_api.jobs.submission import REFUSALS, Submission
from octo_api.metrics import Metrics
from octo_core.db import bulk_cancels, idempotency, shards
from octo_core.db.idempotency import Claim
from octo_core.db.session import AsyncSession, Database

logger = logging.getLogger(__name__)

_SHARDS_KEPT = timedelta(hours=1)
"""After the last word of a run's workers; far longer than the mirror needs to know that a run is not over."""


class Sweeper:
    """Any number may run at once: a claim is locked by the one that works on it, and skipped by the others."""

    def __init__(
        self,
        database: Database,
        submission: Submission,
        *,
        metrics: Metrics,
        clock: Callable[[], datetime],
        older_than: timedelta,
    ) -> None:
        self._database = database
        self._submission = submission
        self._metrics = metrics
        self._clock = clock
        self._older_than = older_than

    async def sweep(self) -> int:
        """Repair all claims that are due; returns how many.

        Raises ClusterUnavailableError or DatabaseUnavailableError; the claims then wait for the next sweep.
        """
        repaired = 0
        due = self._clock() - self._older_than
        seen: datetime | None = None
        while True:
            async with self._database.transaction() as session:
                claim = await idempotency.lock_unfinished(session, made_before=due, made_after=seen)
                if claim is None:
                    break
                seen = claim.created_at
                await self._repair(session, claim)
            repaired += 1
            self._metrics.repairs.inc()
        async with self._database.transaction() as session:
            await idempotency.delete_expired(session, now=self._clock())
            await bulk_cancels.delete_expired(session, now=self._clock())
            await shards.delete_ended(session, older_than=self._clock() - _SHARDS_KEPT)
        return repaired

    async def _repair(self, session: AsyncSession, claim: Claim) -> None:
        if await self._submission.find(session, claim) is not None:
            return
        if claim.expires_at <= self._clock():
            await idempotency.drop(session, claim)
            return
        try:
            job = await self._submission.create(claim)
        except REFUSALS as error:
            logger.warning("claim taken back", extra={"job": claim.job_name, "cause": str(error)})
            await idempotency.drop(session, claim)
            return
        await self._submission.record(session, claim, job)
        logger.info("claim repaired", extra={"job": claim.job_name, "job_uid": job["metadata"]["uid"]})
