"""Many runs with one request: made, or told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from pydantic import Field

from octo_api.auth.caller import Caller
from octo_api.errors import CountDiffersError, problem_of
from octo_api.jobs.changes import JobChanges
from octo_api.jobs.documents import Document, document_of
from octo_api.jobs.listing import JobSelector
from octo_api.jobs.manifest import fingerprint, key_hash, order_of
from octo_api.jobs.schemas import BatchItem, CancelRequest
from octo_api.jobs.service import JobService
from octo_core.db import bulk_cancels, job_list
from octo_core.db.bulk_cancels import BulkCancel
from octo_core.db.job_list import JobFilter
from octo_core.db.session import Database
from octo_core.domain.errors import IdempotencyKeyReusedError, OctoError
from octo_core.domain.status import State

AT_ONCE = 6
"""Fewer than there are connections to Postgres, so that other requests have some too."""
MADE_AT_ONCE = 24
"""More, since runs are written in groups, on two connections however many they are."""
MAX_CANCELLED = 1000


class BulkCancelRequest(CancelRequest):
    """Body of ``POST /v1/jobs:cancel``."""

    filter: JobSelector
    expected_count: Annotated[int, Field(ge=0, le=MAX_CANCELLED)] = Field(
        description="How many runs that have not ended match, as the caller knows it; another number cancels nothing."
    )


class ManyJobs:
    """Each run has a result of its own: one that cannot be had keeps no other from being had."""

    def __init__(
        self,
        database: Database,
        jobs: JobService,
        changes: JobChanges,
        *,
        namespace: str,
        clock: Callable[[], datetime],
        ttl: timedelta,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._changes = changes
        self._namespace = namespace
        self._clock = clock
        self._ttl = ttl

    async def create(self, caller: Caller, items: Sequence[BatchItem], *, idempotency_key: str | None) -> Document:
        """Make the runs of a batch, as ``schemas.BatchResponse``. Each is as exact as a request of its own."""

        async def one(place: int, item: BatchItem) -> Document:
            key = item.idempotency_key
            if key is None and idempotency_key is not None:
                # NUL cannot stand in a client's key, so this is never one of those.
                key = f"{idempotency_key}\0{place}"
            try:
                order = order_of(
                    item, provider=item.provider, namespace=item.namespace or self._namespace, labels=item.labels
                )
                created = await self._jobs.create(caller, order, idempotency_key=key)
                await created.settled()
            except OctoError as error:
                return {"replayed": False, "job": None, **_refusal(error)}
            return {
                "status": 202,
                "replayed": created.replayed,
                "job": document_of(created.record),
                "problem": None,
            }

        results = await _few_at_once([partial(one, place, item) for place, item in enumerate(items)], MADE_AT_ONCE)
        return {"accepted": sum(result["job"] is not None for result in results), "items": results}

    async def cancel(self, caller: Caller, request: BulkCancelRequest, *, idempotency_key: str | None) -> Document:
        """Tell all runs that match to end, if they are as many as expected, as ``schemas.BulkCancelResponse``.

        With a key the runs are those of its first request, and an interrupted one is finished by its repeat.
        Raises ForbiddenError, CountDiffersError, IdempotencyKeyReusedError, or DatabaseUnavailableError.
        """
        wanted = _under_way(request.filter.wanted_by(caller), request.filter.state)
        now = self._clock()
        print_ = fingerprint(bulkCancel=request.model_dump(mode="json", by_alias=True, exclude_unset=True))
        hashed = key_hash(caller.subject, idempotency_key) if idempotency_key is not None else None
        async with self._database.transaction() as session:
            standing = await bulk_cancels.find(session, caller.subject, hashed, now=now) if hashed else None
            if standing is None:
                uids = await job_list.matching(session, wanted, limit=MAX_CANCELLED + 1) if wanted else []
                if len(uids) != request.expected_count:
                    many = f"more than {MAX_CANCELLED}" if len(uids) > MAX_CANCELLED else str(len(uids))
                    raise CountDiffersError(f"{many} jobs match, not {request.expected_count}; none was cancelled")
                standing = BulkCancel(caller.subject, hashed or "", print_, uids, now + self._ttl)
                if hashed:
                    standing = await bulk_cancels.take(session, standing, now=now)
        if standing.fingerprint != print_:
            raise IdempotencyKeyReusedError("This Idempotency-Key was used before with another body.")
        if standing.answer is not None:
            return standing.answer

        async def one(uid: str) -> Document:
            try:
                await self._changes.cancel(caller, uid, request)
            except OctoError as error:
                return {"id": uid, **_refusal(error)}
            return {"id": uid, "status": 202, "problem": None}

        results = await _few_at_once([partial(one, uid) for uid in standing.uids], AT_ONCE)
        answer = {"accepted": sum(result["status"] == 202 for result in results), "items": results}
        if hashed and all(result["status"] < 500 for result in results):
            async with self._database.transaction() as session:
                await bulk_cancels.answer(session, standing, answer)
        return answer


def _under_way(wanted: JobFilter, states: Sequence[State]) -> JobFilter | None:
    """The filter, kept to runs that can be ended; None if it names only such as cannot."""
    left = tuple(state for state in states or State if not state.terminal)
    return replace(wanted, states=left) if left else None


def _refusal(error: OctoError) -> Document:
    problem = problem_of(error)
    return {"status": problem.status, "problem": problem.document()}


async def _few_at_once(work: Sequence[Callable[[], Awaitable[Document]]], most: int) -> list[Document]:
    gate = asyncio.Semaphore(most)

    async def one(step: Callable[[], Awaitable[Document]]) -> Document:
        async with gate:
            return await step()

    return list(await asyncio.gather(*map(one, work)))
