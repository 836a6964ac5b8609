"""How many runs there are in each state, and what each day came to: without counting the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db import job_list
from octo_core.db.tables import JobDayRow, JobRow
from octo_core.domain.status import State

_LIVE = tuple(state.value for state in State if not state.terminal)
_SUMS = tuple(
    func.sum(JobDayRow.__table__.columns[name]).label(name)
    for name in ("runs", "files", "files_failed", "bytes_downloaded", "bytes_uploaded")
)
# Any number of its own: only one process folds at a time, so that two never wait for each other's rows.
_FOLDING = 0x0C7A


@dataclass(frozen=True, slots=True)
class Day:
    """What the runs came to that ended so on that day, in UTC."""

    day: date
    outcome: State
    runs: int
    files: int
    files_failed: int
    bytes_downloaded: int
    bytes_uploaded: int


async def states(session: AsyncSession, namespaces: Sequence[str] | None) -> dict[State, int]:
    """How many runs are in each state, of those namespaces or of all; a state without one is left out.

    Reads the runs that have not ended along their index, and of the others only what their days came to.
    """
    wanted = await job_list.known_namespaces(session) if namespaces is None else list(namespaces)
    live = await session.execute(
        select(JobRow.state, func.count())
        .where(JobRow.namespace.in_(wanted), JobRow.state.in_(_LIVE))
        .group_by(JobRow.state)
    )
    ended = await session.execute(
        select(JobDayRow.outcome, func.sum(JobDayRow.runs)).where(*_of(namespaces)).group_by(JobDayRow.outcome)
    )
    return {State(name): int(count) for name, count in (*live, *ended) if count > 0}


async def days(session: AsyncSession, namespaces: Sequence[str] | None, *, since: date) -> list[Day]:
    """What each day came to from then on, by day and outcome; those without a run are left out."""
    rows = await session.execute(
        select(JobDayRow.day, JobDayRow.outcome, *_SUMS)
        .where(*_of(namespaces), JobDayRow.day >= since)
        .group_by(JobDayRow.day, JobDayRow.outcome)
        .order_by(JobDayRow.day, JobDayRow.outcome)
    )
    return [Day(day, State(outcome), *map(int, sums)) for day, outcome, *sums in rows if sums[0] > 0]


async def fold(session: AsyncSession, *, limit: int) -> int:
    """Make one row of the oldest parts of each day and outcome; returns how many rows that spared.

    Nothing while another process folds. What is read in between is the same before and after.
    """
    if not await session.scalar(select(func.pg_try_advisory_xact_lock(_FOLDING))):
        return 0
    gone = await session.scalar(
        text(
            "WITH several AS (SELECT namespace, day, outcome FROM job_days "
            "GROUP BY namespace, day, outcome HAVING count(*) > 1), "
            "parts AS (DELETE FROM job_days WHERE id IN (SELECT id FROM job_days "
            "JOIN several USING (namespace, day, outcome) ORDER BY id LIMIT :most) RETURNING *), "
            "made AS (INSERT INTO job_days "
            "(namespace, day, outcome, runs, files, files_failed, bytes_downloaded, bytes_uploaded) "
            "SELECT namespace, day, outcome, sum(runs), sum(files), sum(files_failed), sum(bytes_downloaded), "
            "sum(bytes_uploaded) FROM parts GROUP BY namespace, day, outcome RETURNING 1) "
            "SELECT (SELECT count(*) FROM parts) - (SELECT count(*) FROM made)"
        ),
        {"most": limit},
    )
    return int(gone or 0)


def _of(namespaces: Sequence[str] | None) -> list[ColumnElement[bool]]:
    return [] if namespaces is None else [JobDayRow.namespace.in_(namespaces)]
