"""Runs: created exactly once, and read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from octo_api.auth.caller import Caller
from octo_api.errors import JobNotFoundError, acting_on_cluster
from octo_api.jobs.known_providers import KnownProviders
from octo_api.jobs.manifest import Order, claim_of
from octo_api.jobs.rerun import MAX_FILES, rerun_of
from octo_api.jobs.schemas import RerunMode
from octo_api.jobs.submission import REFUSALS, Submission, require_same_request
from octo_api.jobs.visible import visible
from octo_api.metrics import Metrics
from octo_api.providers.service import ProviderService
from octo_core.db import files, idempotency, job_reads
from octo_core.db.idempotency import Claim
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.domain.errors import (
    ClusterUnavailableError,
    DatabaseUnavailableError,
)
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS

logger = logging.getLogger(__name__)

_PATCH_TRIES = 5
_GONE = "The OctoJob is gone from the cluster; only its history is left."


@dataclass(frozen=True, slots=True)
class Created:
    """A run, and whether an earlier request had asked for it."""

    record: JobRecord
    replayed: bool


class JobService:
    """Makes runs, in Kubernetes, and finds them, in Postgres."""

    def __init__(
        self,
        database: Database,
        kube: KubeClient,
        *,
        providers: ProviderService,
        submission: Submission,
        metrics: Metrics,
        clock: Callable[[], datetime],
        new_key: Callable[[], str],
        idempotency_ttl: timedelta,
    ) -> None:
        self._database = database
        self._kube = kube
        self._known = KnownProviders(providers, clock=clock)
        self._submission = submission
        self._metrics = metrics
        self._clock = clock
        self._new_key = new_key
        self._ttl = idempotency_ttl

    async def create(self, caller: Caller, order: Order, *, idempotency_key: str | None) -> Created:
        """Make a run, or find the one that this key made.

        Raises ForbiddenError for a namespace not the caller's, ProviderNotFoundError,
        IdempotencyKeyReusedError, InvalidError, ClusterRefusedError, and the two for stores that are away.
        With a key the claim then stays, and a retry or the sweeper finishes it.
        """
        caller.require_namespace(order.namespace)
        claim = self._claim(caller, order, idempotency_key)
        if idempotency_key is not None:
            standing = await self._standing(claim)
            if standing is not None:
                return await self._repeat(standing, claim.fingerprint)
        await self._known.require(order.namespace, order.provider)
        async with self._database.transaction() as session:
            standing = await idempotency.take(session, claim)
        if standing is not None:
            return await self._repeat(standing, claim.fingerprint)
        return Created(await self._submit(claim, keyed=idempotency_key is not None), replayed=False)

    async def rerun(self, caller: Caller, uid: str, mode: RerunMode, *, idempotency_key: str | None) -> Created:
        """Make a run that repeats another. Raises JobNotFoundError, InvalidStateError, and as ``create``."""
        async with self._database.transaction() as session:
            record = await visible(session, caller, uid)
            wanted = mode is RerunMode.FAILED_FILES
            failed = await files.failed_paths(session, uid, limit=MAX_FILES + 1) if wanted else []
        return await self.create(caller, rerun_of(record, mode, failed), idempotency_key=idempotency_key)

    async def try_out(self, caller: Caller, order: Order) -> JobRecord:
        """The run that ``create`` would make, after all its checks and the API server's; nothing is kept."""
        caller.require_namespace(order.namespace)
        await self._known.require(order.namespace, order.provider)
        claim = self._claim(caller, order, None)
        with acting_on_cluster():
            job = await self._kube.create(OCTOJOBS, claim.namespace, claim.manifest, dry_run=True)
        # What is not stored has no version.
        job["metadata"].setdefault("resourceVersion", "0")
        return job_reads.record_of(job)

    def _claim(self, caller: Caller, order: Order, idempotency_key: str | None) -> Claim:
        key = idempotency_key or self._new_key()
        return claim_of(order, tenant=caller.subject, idempotency_key=key, now=self._clock(), ttl=self._ttl)

    async def _standing(self, claim: Claim) -> Claim | None:
        """What an earlier request with the key left; looked up first, since a repeat must find its run also when
        the provider is gone by now."""
        async with self._database.transaction() as session:
            return await idempotency.find(session, claim.tenant, claim.key_hash, now=claim.created_at)

    async def _repeat(self, standing: Claim, fingerprint: str) -> Created:
        require_same_request(standing, fingerprint)
        async with self._database.transaction() as session:
            uid = await self._submission.find(session, standing)
            record = await job_reads.get(session, uid) if uid is not None else None
        if uid is None:
            # Claimed, and then nothing: a request under way at this moment, or one that a crash cut off.
            record = await self._submit(standing, keyed=True)
        if record is None:
            raise JobNotFoundError("The run that this Idempotency-Key made is not kept any more.")
        self._metrics.replays.inc()
        return Created(record, replayed=True)

    async def _submit(self, claim: Claim, *, keyed: bool) -> JobRecord:
        try:
            job = await self._submission.create(claim)
        except REFUSALS:
            await self._take_back(claim)
            raise
        except ClusterUnavailableError:
            # Nobody can ask for this run again without its key: a repeat would be a second one.
            if not keyed:
                await self._take_back(claim)
            raise
        try:
            async with self._database.transaction() as session:
                await self._submission.record(session, claim, job)
        except DatabaseUnavailableError:
            # The run exists, which is what was asked for; sweeper and mirror write its row later.
            logger.warning("run created but not recorded yet", extra={"job_uid": job["metadata"]["uid"]})
        return job_reads.record_of(job)

    async def _take_back(self, claim: Claim) -> None:
        try:
            async with self._database.transaction() as session:
                await idempotency.drop(session, claim)
        except DatabaseUnavailableError:
            logger.warning("claim could not be taken back", extra={"job": claim.job_name})

    async def get(self, caller: Caller, uid: str) -> JobRecord:
        """A run of a namespace the caller may see. Raises JobNotFoundError."""
        async with self._database.reading() as session:
            return await visible(session, caller, uid)
