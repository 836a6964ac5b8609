"""From a claim to an OctoJob, exactly once, whoever does it and however often: the request, its retry, or the sweeper.

The claim fixes the OctoJob's name, so that a second create is refused by the API server; and a run that
was made and has gone since is found by its key among the archived ones.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from octo_api.errors import ClusterRefusedError, ContendedError, acting_on_cluster
from octo_core.crd.resources import Raw
from octo_core.db import idempotency, job_reads
from octo_core.db.idempotency import Claim
from octo_core.db.projection import project
from octo_core.db.session import AsyncSession
from octo_core.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    IdempotencyKeyReusedError,
    InvalidError,
    NotFoundError,
)
from octo_core.kube.client import KubeClient
from octo_core.kube.resources import OCTOJOBS

REFUSALS = (InvalidError, ClusterRefusedError, ConflictError, IdempotencyKeyReusedError, NotFoundError)
"""Errors of ``create`` that another try would meet again: nothing will come of the claim."""

CLOCK_SLACK = timedelta(hours=1)
"""Clocks of api and API server may differ by this much. A run of an expired claim on the same key is older."""

_REUSED = "This Idempotency-Key was used before with another body; use a new key for a new run."


def require_same_request(claim: Claim, fingerprint: str) -> None:
    """Raise IdempotencyKeyReusedError if the claim stands for another request."""
    if claim.fingerprint != fingerprint:
        raise IdempotencyKeyReusedError(_REUSED)


class Submission:
    """Creates the OctoJob of a claim and records it."""

    def __init__(self, kube: KubeClient, *, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._clock = clock

    async def find(self, session: AsyncSession, claim: Claim) -> str | None:
        """The uid of the run that came of the claim, if one is known; notes it on the claim."""
        if claim.job_uid is not None:
            return claim.job_uid
        uid = await job_reads.find_keyed(
            session,
            namespace=claim.namespace,
            name=claim.job_name,
            key_hash=claim.key_hash,
            created_after=claim.created_at - CLOCK_SLACK,
        )
        if uid is not None:
            await idempotency.finish(session, claim, uid)
        return uid

    async def create(self, claim: Claim) -> Raw:
        """The claim's OctoJob, new or found.

        Raises one of ``REFUSALS`` when the cluster will never take it, or ClusterUnavailableError.
        """
        for _ in range(3):
            try:
                with acting_on_cluster():
                    return await self._kube.create(OCTOJOBS, claim.namespace, claim.manifest)
            except AlreadyExistsError:
                pass
            try:
                with acting_on_cluster():
                    found = await self._kube.get(OCTOJOBS, claim.namespace, claim.job_name)
            except NotFoundError:
                continue  # It went away between the two; its name is free now.
            return _same_run(claim, found)
        raise ContendedError("The OctoJob of this key comes and goes; try again.")

    async def record(self, session: AsyncSession, claim: Claim, job: Raw) -> None:
        """Write the job's row and note its uid on the claim."""
        # In the order of ``octo_core.db.submissions``.
        await idempotency.finish(session, claim, job["metadata"]["uid"])
        await project(session, [job], now=self._clock())


def _same_run(claim: Claim, job: Raw) -> Raw:
    known = job["spec"].get("idempotency", {})
    if known.get("keyHash") != claim.key_hash:
        raise ConflictError(f"an OctoJob {claim.job_name} exists that was not made by this key")
    if known.get("fingerprint") != claim.fingerprint:
        raise IdempotencyKeyReusedError(_REUSED)
    return job
