"""What verifications found, read from Postgres while it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from octo_api.live import Still
from octo_api.verifications.schemas import Verification
from octo_core.db import checks, job_reads
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.domain.report import Check
from octo_core.domain.status import State

POLL_SECONDS = 0.5


class VerificationService:
    """Reads of steps. Whose run it is has been checked before."""

    def __init__(self, database: Database, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._database = database
        self._sleep = sleep

    async def get(self, record: JobRecord) -> Verification:
        """What has been found so far."""
        async with self._database.transaction() as session:
            found = await checks.after(session, record.uid)
        return _verification(record, [check for _, check in found])

    async def follow(self, record: JobRecord, still: Still) -> AsyncGenerator[Check | Verification | None]:
        """Each step as it comes, None while none does, and at the end the whole.

        Raises DatabaseUnavailableError, or what ``still`` raises; nothing is lost by that."""
        seen, found = (0, 0), []
        while True:
            async with self._database.transaction() as session:
                # The state first: what was reported before the end is then there to be read.
                now = await job_reads.get(session, record.uid) or record
                steps = await checks.after(session, record.uid, seen)
            for attempt, check in steps:
                seen = (attempt, check.number)
                found.append(check)
                yield check
            if _is_over(now):
                yield _verification(now, found)
                return
            yield None
            await self._sleep(POLL_SECONDS)
            await still()


def _is_over(record: JobRecord) -> bool:
    return State(record.state).terminal or record.deleted_at is not None


def _verification(record: JobRecord, found: list[Check]) -> Verification:
    return Verification(
        job_id=record.uid,
        state=State(record.state),
        finished=_is_over(record),
        message=record.status.get("failure", {}).get("message"),
        checks=tuple(found),
    )
