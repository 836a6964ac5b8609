"""Lists of runs, live and archived alike, page by page along an index, however many there are.

A page is found by its last row, never by counting. Each filter that has an index of its own leads with
equalities and ends with the order, so a page costs the same wherever it lies. Where a filter names several
values of such an index, or none of its leading one, the page is merged from one short read for each value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, ColumnElement, Select, Text, func, literal, select, text, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.tables import JobRow
from octo_core.domain.failure import Category
from octo_core.domain.status import State

_CLOCK_SLACK = timedelta(hours=1)
"""The API server says when a run was made, the controller when it ended; their clocks may differ by this much."""


class JobSort(StrEnum):
    """The orders that have an index. Sorted by end, runs that have not ended are left out."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    LAST_FINISHED = "-finishedAt"
    FIRST_FINISHED = "finishedAt"


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time: ``after`` belongs to it, ``before`` does not. None leaves it open."""

    after: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which runs to list; None or empty means any."""

    namespaces: tuple[str, ...] | None = None
    provider: str | None = None
    states: tuple[State, ...] = ()
    failure_categories: tuple[Category, ...] = ()
    created: Span = Span()
    started: Span = Span()
    finished: Span = Span()
    labels: tuple[tuple[str, str], ...] = ()
    requested_by: str | None = None
    schedule: str | None = None
    rerun_of: str | None = None
    name: str | None = None
    name_prefix: str | None = None


class Position(NamedTuple):
    """Where a page ended: the time it is sorted by, and the uid, of its last run."""

    at: datetime
    uid: str


async def page(
    session: AsyncSession,
    wanted: JobFilter,
    *,
    sort: JobSort = JobSort.NEWEST,
    after: Position | None = None,
    limit: int,
    columns: Sequence[str],
) -> Sequence[Any]:
    """Up to ``limit`` rows of ``jobs`` behind ``after``, each with these columns as attributes."""
    if wanted.labels or wanted.name_prefix:
        # What these find differs so much that a plan for any value suits none.
        await session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    namespaces = await known_namespaces(session) if wanted.namespaces is None else wanted.namespaces
    query = statement(wanted, namespaces, sort=sort, after=after, limit=limit, columns=columns)
    rows: Sequence[Any] = (await session.execute(query)).all()
    return rows


async def matching(session: AsyncSession, wanted: JobFilter, *, limit: int) -> list[str]:
    """The uids of up to ``limit`` runs that match, the newest first."""
    return [row.uid for row in await page(session, wanted, limit=limit, columns=("uid",))]


def sorted_by(sort: JobSort) -> str:
    """The column that an order goes by."""
    return "created_at" if sort in (JobSort.NEWEST, JobSort.OLDEST) else "finished_at"


def statement(
    wanted: JobFilter,
    namespaces: Sequence[str],
    *,
    sort: JobSort,
    after: Position | None,
    limit: int,
    columns: Sequence[str],
) -> Select[Any]:
    """The query of a page; ``namespaces`` stands for all that may be seen."""
    key = JobRow.__table__.columns[sorted_by(sort)]
    descending = sort.startswith("-")
    conditions = [*_conditions(wanted), *_bounds(wanted, sort)]
    if after is not None:
        position, here = tuple_(*after), tuple_(key, JobRow.uid)
        conditions.append(here < position if descending else here > position)

    def ordered(query: Select[Any], at: ColumnElement[Any], uid: Any) -> Select[Any]:
        return query.order_by(at.desc(), uid.desc()) if descending else query.order_by(at, uid)

    states = _states(wanted, sort)
    whole = [JobRow.__table__.columns[name] for name in columns]
    if len(namespaces) == 1 and len(states) <= 1:
        found = select(*whole).where(JobRow.namespace == namespaces[0], *conditions)
        if states:
            found = found.where(JobRow.state == states[0])
        return ordered(found, key, JobRow.uid).limit(limit)

    ranges = [(namespace, state) for namespace in namespaces for state in states or ("",)]
    texts = ARRAY(Text())
    pairs = func.unnest(literal([name for name, _ in ranges], texts), literal([state for _, state in ranges], texts))
    each = pairs.table_valued("namespace", "state", name="each").render_derived()
    part = select(JobRow.uid, key.label("at")).where(JobRow.namespace == each.c.namespace, *conditions)
    if states:
        part = part.where(JobRow.state == each.c.state)
    short = ordered(part, key, JobRow.uid).limit(limit).lateral("part")
    merged = ordered(select(short.c.uid, short.c.at).select_from(each.join(short, true())), short.c.at, short.c.uid)
    first = merged.limit(limit).subquery("first")
    # Whole rows only of those that are on the page.
    return ordered(select(*whole).join(first, first.c.uid == JobRow.uid), first.c.at, first.c.uid)


def _states(wanted: JobFilter, sort: JobSort) -> tuple[str, ...]:
    """The states to read one by one, each along its index; empty for the one index that has none."""
    if wanted.states:
        return tuple(dict.fromkeys(state.value for state in wanted.states))
    if sorted_by(sort) == "finished_at":
        return tuple(state.value for state in State if state.terminal)
    return tuple(State) if wanted.provider is not None else ()


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (JobRow.provider, wanted.provider),
        (JobRow.requested_by, wanted.requested_by),
        (JobRow.schedule, wanted.schedule),
        (JobRow.rerun_of, wanted.rerun_of),
        (JobRow.name, wanted.name),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.failure_categories:
        conditions.append(JobRow.failure_category.in_([category.value for category in wanted.failure_categories]))
    conditions.extend(JobRow.labels.contains({key: value}) for key, value in wanted.labels)
    if wanted.name_prefix is not None:
        conditions.append(JobRow.name.startswith(wanted.name_prefix, autoescape=True))
    return conditions


def _bounds(wanted: JobFilter, sort: JobSort) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for column, span in (
        (JobRow.created_at, wanted.created),
        (JobRow.started_at, wanted.started),
        (JobRow.finished_at, wanted.finished),
    ):
        if span.after is not None:
            conditions.append(column >= span.after)
        if span.before is not None:
            conditions.append(column < span.before)
    if sorted_by(sort) == "finished_at":
        conditions.append(JobRow.finished_at.is_not(None))
        # No run ends before it is made: a bound of one order is one of the other too.
        if wanted.created.after is not None:
            conditions.append(JobRow.finished_at >= wanted.created.after - _CLOCK_SLACK)
    else:
        ends = [span.before for span in (wanted.started, wanted.finished) if span.before is not None]
        conditions.extend(JobRow.created_at < end + _CLOCK_SLACK for end in ends)
    return conditions


async def known_namespaces(session: AsyncSession) -> list[str]:
    """Every namespace that has runs, by one step along the index for each."""
    rows = await session.execute(
        text(
            "WITH RECURSIVE seen AS (SELECT min(namespace) AS name FROM jobs UNION ALL "
            "SELECT (SELECT min(namespace) FROM jobs WHERE namespace > seen.name) FROM seen "
            "WHERE seen.name IS NOT NULL) SELECT name FROM seen WHERE name IS NOT NULL"
        )
    )
    return list(rows.scalars())
