"""Lists of runs and of their files: what may be asked, and one page of it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from octo_api.auth.caller import Caller
from octo_api.cursor import CursorCodec
from octo_api.jobs.documents import ALL_FIELDS, Document, columns_of, document_of, file_of
from octo_api.jobs.labels import SELECTOR_PATTERN, parse_selector
from octo_api.jobs.visible import visible
from octo_api.paging import MAX_CURSOR, MAX_PAGE
from octo_core.db import files, job_list
from octo_core.db.job_list import JobFilter, JobSort, Position, Span
from octo_core.db.session import Database
from octo_core.domain.failure import Category
from octo_core.domain.model import Model, Moment
from octo_core.domain.report import FileOutcome
from octo_core.domain.status import State

JobField = StrEnum("JobField", {name: name for name in sorted(ALL_FIELDS)})  # type: ignore[misc] # made of data
"""Names of the fields of a run."""

_Namespace = Annotated[str, Field(max_length=63, pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
_Name = Annotated[str, Field(max_length=253, pattern="^[a-z0-9.-]+$")]
# No run lies further out; so that there is room for what is reckoned from a bound.
_EARLIEST, _LATEST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
_JobId = Annotated[str, Field(max_length=64, pattern="^[A-Za-z0-9-]+$")]


class JobSelector(Model):
    """Which runs; all conditions must hold, and of one that is named several times any."""

    namespace: _Namespace | None = None
    provider: _Name | None = None
    state: list[State] = Field(default=[], max_length=len(State))
    failure_category: list[Category] = Field(default=[], max_length=len(Category))
    label_selector: Annotated[str, Field(max_length=2048, pattern=SELECTOR_PATTERN)] | None = Field(
        default=None, description="`key=value`, several with commas between; all must be there."
    )
    requested_by: str | None = Field(default=None, max_length=253, pattern=r"^[^\x00]*$")
    schedule: _Name | None = Field(default=None, description="The provider whose schedule made them.")
    rerun_of: _JobId | None = Field(default=None, description="`id` of the run that they repeat.")
    name: _Name | None = None
    name_prefix: _Name | None = None
    created_after: Moment | None = Field(default=None, description="At that time or later.")
    created_before: Moment | None = None
    started_after: Moment | None = Field(default=None, description="At that time or later.")
    started_before: Moment | None = None
    finished_after: Moment | None = Field(default=None, description="At that time or later.")
    finished_before: Moment | None = None

    def wanted_by(self, caller: Caller) -> JobFilter:
        """The filter, kept to what the caller may see. Raises ForbiddenError for a namespace not theirs."""
        if self.namespace is not None:
            caller.require_namespace(self.namespace)
        return JobFilter(
            namespaces=(self.namespace,) if self.namespace is not None else caller.visible_namespaces(),
            provider=self.provider,
            states=tuple(self.state),
            failure_categories=tuple(self.failure_category),
            created=_span(self.created_after, self.created_before),
            started=_span(self.started_after, self.started_before),
            finished=_span(self.finished_after, self.finished_before),
            labels=parse_selector(self.label_selector) if self.label_selector is not None else (),
            requested_by=self.requested_by,
            schedule=self.schedule,
            rerun_of=self.rerun_of,
            name=self.name,
            name_prefix=self.name_prefix,
        )


def _span(after: datetime | None, before: datetime | None) -> Span:
    def near(bound: datetime | None) -> datetime | None:
        return None if bound is None else min(max(bound, _EARLIEST), _LATEST)

    return Span(near(after), near(before))


class JobQuery(JobSelector):
    """Query of ``GET /v1/jobs``."""

    sort: JobSort = Field(
        default=JobSort.NEWEST,
        description="`-` for descending. Sorted by finishedAt, runs that have not ended are left out.",
    )
    fields: list[JobField] = Field(
        default=[], max_length=len(JobField), description="Only these fields of each run; default: all."
    )
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Items on a page.")
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] | None = Field(
        default=None, description="`nextCursor` of the page before; it holds for the same filter and order only."
    )


class FileQuery(Model):
    """Query of ``GET /v1/jobs/{uid}/files``."""

    outcome: FileOutcome | None = None
    category: Category | None = Field(default=None, description="Why they failed.")
    attempt: int | None = Field(default=None, ge=1, le=32_767, description="Only what became of them in that attempt.")
    path_prefix: str | None = Field(default=None, min_length=1, max_length=4096, pattern=r"^[^\x00]*$")
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Items on a page.")
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] | None = Field(
        default=None, description="`nextCursor` of the page before; it holds for the same filter only."
    )


class JobLists:
    """Runs and their files, page by page."""

    def __init__(self, database: Database, cursors: CursorCodec) -> None:
        self._database = database
        self._cursors = cursors

    async def runs(self, caller: Caller, query: JobQuery) -> Document:
        """The page that ``query`` asks for, as ``schemas.JobPage``.

        Raises ForbiddenError, InvalidCursorError or DatabaseUnavailableError.
        """
        wanted = query.wanted_by(caller)
        of = {"list": "jobs", "filter": wanted, "sort": query.sort}
        after: Position | None = None
        if query.cursor is not None:
            at, uid = self._cursors.decode(query.cursor, of=of)
            after = Position(datetime.fromisoformat(at), uid)
        fields = frozenset(map(str, query.fields)) or ALL_FIELDS
        key = job_list.sorted_by(query.sort)
        columns = sorted({*columns_of(fields), key, "uid"})
        async with self._database.transaction() as session:
            # One more than asked for tells whether there is a next page.
            rows = await job_list.page(
                session, wanted, sort=query.sort, after=after, limit=query.limit + 1, columns=columns
            )
        following = None
        if len(rows) > query.limit:
            rows = rows[: query.limit]
            following = self._cursors.encode((getattr(rows[-1], key).isoformat(), rows[-1].uid), of=of)
        return {"items": [document_of(row, fields) for row in rows], "nextCursor": following}

    async def files(self, caller: Caller, uid: str, query: FileQuery) -> Document:
        """The page of a run's files that ``query`` asks for, as ``schemas.FilePage``.

        Raises JobNotFoundError, InvalidCursorError or DatabaseUnavailableError.
        """
        of = {"list": "files", "job": uid, **query.model_dump(exclude={"limit", "cursor"})}
        after: tuple[str, str] | None = None
        if query.cursor is not None:
            path, member = self._cursors.decode(query.cursor, of=of)
            after = (path, member)
        async with self._database.transaction() as session:
            await visible(session, caller, uid)
            rows = await files.page(
                session,
                uid,
                outcome=query.outcome,
                category=query.category,
                attempt=query.attempt,
                path_prefix=query.path_prefix,
                after=after,
                limit=query.limit + 1,
            )
        following = None
        if len(rows) > query.limit:
            rows = rows[: query.limit]
            following = self._cursors.encode((rows[-1]["source_path"], rows[-1]["member"]), of=of)
        return {"items": [file_of(row) for row in rows], "nextCursor": following}
