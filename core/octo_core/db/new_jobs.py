"""Rows of ``jobs`` that were not there before, with their first events: one statement for any number of them.

Most runs are written first by the api that made them, and that is part of what a request costs: a row that is inserted
as it is to stand takes half of what one takes that is inserted empty, locked and then filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Table, bindparam, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from octo_core.db.events import CHANNEL, NewEvent
from octo_core.db.tables import EventRow, JobRow

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # as SQLAlchemy has it


def _columns(table: Any, but: Sequence[str] = ()) -> tuple[str, str]:
    """The names of a table's columns, and the same with their types, as SQL."""
    assert isinstance(table, Table)  # noqa: S101 - narrows the type
    columns = [column for column in table.columns if column.name not in but]
    typed = (f"{column.name} {column.type.compile(_DIALECT)}" for column in columns)
    return ", ".join(column.name for column in columns), ", ".join(typed)


_JOB, _JOB_TYPED = _columns(JobRow.__table__)
_EVENT, _EVENT_TYPED = _columns(EventRow.__table__, but=("id", "position"))
_INSERT = text(
    f"""
    WITH made AS (
      INSERT INTO jobs ({_JOB}) SELECT {_JOB} FROM jsonb_to_recordset(:jobs) AS given({_JOB_TYPED})
      ON CONFLICT (uid) DO NOTHING
      RETURNING uid
    ),
    told AS (
      INSERT INTO events ({_EVENT}) SELECT {_EVENT} FROM jsonb_to_recordset(:events) AS given({_EVENT_TYPED})
      WHERE job_uid IN (SELECT uid FROM made)
      RETURNING id
    )
    SELECT uid, (SELECT pg_notify('{CHANNEL}', '') FROM told LIMIT 1) FROM made
    """  # noqa: S608 - put together from names of this package
).bindparams(bindparam("jobs", type_=JSONB), bindparam("events", type_=JSONB))


async def insert_new(
    session: AsyncSession, rows: Sequence[dict[str, Any]], events: Iterable[NewEvent]
) -> frozenset[str]:
    """Insert those of the rows that are not there, in the order given, and their events; returns the uids of these.

    Waits for a transaction that inserts one of them at the moment, and never for one that has a row locked.
    """
    made = await session.execute(_INSERT, {"jobs": rows, "events": list(events)})
    return frozenset(row.uid for row in made)
