"""Runs: created exactly once, read, cancelled, deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from octo_api.auth.caller import Caller
from octo_api.errors import ContendedError, InvalidStateError, JobNotFoundError, acting_on_cluster
from octo_api.jobs.manifest import claim_of, options_of
from octo_api.jobs.schemas import CancelRequest, JobOptions
from octo_api.jobs.submission import REFUSALS, Submission, require_same_request
from octo_api.jobs.visible import visible
from octo_api.metrics import Metrics
from octo_api.providers.service import ProviderService
from octo_core.crd.resources import Raw
from octo_core.db import idempotency, job_reads
from octo_core.db.idempotency import Claim
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.domain.errors import (
    ClusterUnavailableError,
    ConflictError,
    DatabaseUnavailableError,
    NotFoundError,
)
from octo_core.domain.job import CancelMode
from octo_core.domain.model import rfc3339
from octo_core.domain.status import State
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
    """What can be done with runs. Reads come from Postgres, writes go to Kubernetes."""

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
        self._providers = providers
        self._submission = submission
        self._metrics = metrics
        self._clock = clock
        self._new_key = new_key
        self._ttl = idempotency_ttl

    async def create(
        self, caller: Caller, *, provider: str, namespace: str, request: JobOptions, idempotency_key: str | None
    ) -> Created:
        """Make a run, or find the one that this key made.

        Raises ForbiddenError for a namespace not the caller's, ProviderNotFoundError,
        IdempotencyKeyReusedError, InvalidError, ClusterRefusedError, and the two for stores that are away.
        With a key the claim then stays, and a retry or the sweeper finishes it.
        """
        caller.require_namespace(namespace)
        claim = claim_of(
            tenant=caller.subject,
            idempotency_key=idempotency_key or self._new_key(),
            provider=provider,
            namespace=namespace,
            options=options_of(request),
            now=self._clock(),
            ttl=self._ttl,
        )
        if idempotency_key is not None:
            # Looked up first, since a repeat must find its run also when the provider is gone by now.
            async with self._database.transaction() as session:
                standing = await idempotency.find(session, claim.tenant, claim.key_hash, now=claim.created_at)
            if standing is not None:
                return await self._repeat(standing, claim.fingerprint)
        await self._providers.get(namespace, provider)
        async with self._database.transaction() as session:
            standing = await idempotency.take(session, claim)
        if standing is not None:
            return await self._repeat(standing, claim.fingerprint)
        return Created(await self._submit(claim, keyed=idempotency_key is not None), replayed=False)

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
        async with self._database.transaction() as session:
            return await visible(session, caller, uid)

    async def cancel(self, caller: Caller, uid: str, request: CancelRequest) -> JobRecord:
        """Ask for the end of a run; asking again changes nothing but Graceful to Force.

        Raises JobNotFoundError, InvalidStateError for a run that ended otherwise or is gone, or
        ClusterUnavailableError.
        """
        record = await self.get(caller, uid)
        for _ in range(_PATCH_TRIES):
            job = await self._live(record)
            state = State(job.get("status", {}).get("state", State.PENDING))
            standing = job["spec"].get("cancel")
            if state.terminal and not (state is State.CANCELLED and standing):
                raise InvalidStateError(f"the job has ended: {state}")
            change = _cancel_change(standing, caller.subject, request, self._clock())
            if state.terminal or change is None:
                return job_reads.record_of(job)
            meta = {key: job["metadata"][key] for key in ("uid", "resourceVersion")}
            try:
                with acting_on_cluster():
                    job = await self._kube.patch(
                        OCTOJOBS, record.namespace, record.name, {"metadata": meta, "spec": {"cancel": change}}
                    )
            except NotFoundError as error:
                raise InvalidStateError(_GONE) from error
            except ConflictError:
                continue  # The controller wrote in between.
            return job_reads.record_of(job)
        raise ContendedError("The OctoJob changes too fast; try again.")

    async def delete(self, caller: Caller, uid: str) -> JobRecord:
        """Delete the OctoJob, ending it if it runs; its history stays. One that is gone already is left at that.

        Raises JobNotFoundError or ClusterUnavailableError.
        """
        record = await self.get(caller, uid)
        try:
            with acting_on_cluster():
                await self._kube.delete(OCTOJOBS, record.namespace, record.name, uid=uid)
        except (NotFoundError, ConflictError):
            logger.info("nothing to delete", extra={"job_uid": uid})
        return record

    async def _live(self, record: JobRecord) -> Raw:
        try:
            with acting_on_cluster():
                job = await self._kube.get(OCTOJOBS, record.namespace, record.name)
        except NotFoundError as error:
            raise InvalidStateError(_GONE) from error
        if job["metadata"]["uid"] != record.uid:
            raise InvalidStateError(_GONE)
        return job


def _cancel_change(standing: Raw | None, subject: str, request: CancelRequest, now: datetime) -> Raw | None:
    if standing is None:
        change: Raw = {"requestedAt": rfc3339(now), "requestedBy": subject, "mode": request.mode.value}
        if request.reason is not None:
            change["reason"] = request.reason
        return change
    if request.mode is CancelMode.FORCE and standing.get("mode") != CancelMode.FORCE:
        return {"mode": CancelMode.FORCE.value}
    return None
