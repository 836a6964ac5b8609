"""Runs: created exactly once, and read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from octo_api.audit.intents import Intents, of_claim
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
from octo_core.db.group_commit import GroupCommit
from octo_core.db.idempotency import Claim
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.db.submissions import CLAIM, RECORD, Submitted
from octo_core.domain.errors import (
    ClusterUnavailableError,
    DatabaseUnavailableError,
    NotFoundError,
)
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS

logger = logging.getLogger(__name__)

_REPEATS_AT_ONCE = 6
"""Fewer than there are connections to Postgres: a batch that is repeated leaves some for other requests."""


@dataclass(frozen=True, slots=True)
class Created:
    """A run, and whether an earlier request had asked for it."""

    record: JobRecord
    replayed: bool
    recorded: asyncio.Future[None] | None = None
    """Done when the run's row is committed, or known not to be for now; to be waited for before the answer."""

    async def settled(self) -> None:
        """Wait for that."""
        if self.recorded is not None:
            await asyncio.wait((self.recorded,))


class JobService:
    """Makes runs, in Kubernetes, and finds them, in Postgres."""

    def __init__(
        self,
        database: Database,
        kube: KubeClient,
        *,
        providers: ProviderService,
        submission: Submission,
        claims: GroupCommit,
        records: GroupCommit,
        intents: Intents,
        metrics: Metrics,
        clock: Callable[[], datetime],
        new_key: Callable[[], str],
        idempotency_ttl: timedelta,
    ) -> None:
        self._database = database
        self._claims = claims
        self._records = records
        self._intents = intents
        self._repeats = asyncio.Semaphore(_REPEATS_AT_ONCE)
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
        try:
            await self._known.require(order.namespace, order.provider)
        except (NotFoundError, ClusterUnavailableError):
            # A repeat must find its run also when the provider is gone by now, or the cluster away.
            standing = await self._standing(claim) if idempotency_key is not None else None
            if standing is None:
                raise
            if standing.job_uid is None:
                await self._intents.note(of_claim(claim), namespace=claim.namespace)
        else:
            intent = self._intents.make(of_claim(claim), namespace=claim.namespace)
            standing = await self._claims.add(CLAIM, replace(claim, intent=intent))
            self._intents.made(intent)
        if standing is not None:
            return await self._repeat(standing, claim.fingerprint)
        return await self._submit(claim, keyed=idempotency_key is not None)

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
        async with self._database.reading() as session:
            return await idempotency.find(session, claim.tenant, claim.key_hash, now=claim.created_at)

    async def _repeat(self, standing: Claim, fingerprint: str) -> Created:
        require_same_request(standing, fingerprint)
        async with self._repeats, self._database.transaction() as session:
            uid = await self._submission.find(session, standing)
            record = await job_reads.get(session, uid) if uid is not None else None
        created = Created(record, replayed=True) if record is not None else None
        if uid is None:
            # Claimed, and then nothing: a request under way at this moment, or one that a crash cut off.
            created = replace(await self._submit(standing, keyed=True), replayed=True)
        if created is None:
            raise JobNotFoundError("The run that this Idempotency-Key made is not kept any more.")
        self._metrics.replays.inc()
        return created

    async def _submit(self, claim: Claim, *, keyed: bool) -> Created:
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
        return Created(
            job_reads.record_of(job), replayed=False, recorded=self._record(Submitted(claim, job, self._clock()))
        )

    def _record(self, made: Submitted) -> asyncio.Future[None] | None:
        """Write the run's row with those of others. The run exists, which is what was asked for: where Postgres is
        away, sweeper and mirror write it later."""

        def look(recorded: asyncio.Future[None]) -> None:
            if not recorded.cancelled() and recorded.exception() is not None:
                self._unrecorded(made, recorded.exception())

        try:
            recorded = self._records.add(RECORD, made)
        except DatabaseUnavailableError as error:
            self._unrecorded(made, error)
            return None
        recorded.add_done_callback(look)
        return recorded

    def _unrecorded(self, made: Submitted, error: BaseException | None) -> None:
        extra = {"job_uid": made.job["metadata"]["uid"]}
        if isinstance(error, DatabaseUnavailableError):
            logger.warning("run created but not recorded yet", extra=extra)
        else:
            logger.error("run created but could not be recorded", extra=extra, exc_info=error)

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
