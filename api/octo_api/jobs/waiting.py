"""``Prefer: wait=N`` (RFC 7240): the answer comes when the run has ended, or after N seconds."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from fastapi import Header

from octo_api.auth.caller import Caller
from octo_api.jobs.visible import visible
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.domain.errors import OctoError
from octo_core.domain.status import State

MAX_WAIT_SECONDS = 60
_FIRST_LOOK_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0

Prefer = Annotated[
    str | None,
    Header(
        max_length=1024,
        description=f"`wait=N`: answer when the run has ended, or after N seconds, {MAX_WAIT_SECONDS} at most.",
    ),
]

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=$|[,;])', re.IGNORECASE)


def wait_of(prefer: str | None, *, at_most: int = MAX_WAIT_SECONDS) -> int | None:
    """The seconds to wait that the header asks for, None without such a wish. What is not understood is passed over."""
    found = _WAIT.search(prefer) if prefer is not None else None
    return None if found is None else min(int(found[1]), at_most)


async def ended(database: Database, caller: Caller, record: JobRecord, *, within: float) -> JobRecord:
    """The run when it has ended, or as it is after ``within`` seconds. Postgres being away meanwhile is waited out."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + within, _FIRST_LOOK_SECONDS
    while not State(record.state).terminal and (left := until - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
        try:
            async with database.transaction() as session:
                record = await visible(session, caller, record.uid)
        except OctoError:
            continue  # Not mirrored yet, or no database: the run was accepted all the same.
    return record
