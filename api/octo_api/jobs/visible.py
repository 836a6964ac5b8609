"""Which runs a caller may know of."""

from __future__ import annotations

from octo_api.auth.caller import Caller
from octo_api.errors import JobNotFoundError
from octo_core.db import job_reads
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import AsyncSession


async def visible(session: AsyncSession, caller: Caller, uid: str) -> JobRecord:
    """The run, if it is in a namespace of the caller's. Raises JobNotFoundError, which tells nothing else."""
    record = await job_reads.get(session, uid)
    if record is None or not caller.may_use(record.namespace):
        raise JobNotFoundError(f"there is no job {uid}")
    return record
