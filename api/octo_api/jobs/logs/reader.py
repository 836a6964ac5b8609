"""The log of a run: from its pod while that is there, else from the archive."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from octo_api.auth.caller import Caller
from octo_api.jobs.logs.lines import Line, parse, shown
from octo_api.jobs.logs.pods import PodLogs, Reading, RunPod
from octo_api.jobs.visible import visible
from octo_core.db import job_logs
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.domain import names
from octo_core.domain.errors import InvalidError, NotFoundError, OctoError
from octo_core.domain.status import State

_LOOK_SECONDS = 1.0
_LEFT_OUT = "[octo: the middle of this log was too long to be kept]\n"


class Source(StrEnum):
    """Where a log came from."""

    POD = "pod"
    ARCHIVE = "archive"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for of a log."""

    attempt: int | None = None
    worker: int = 0
    since: datetime | None = None
    tail: int | None = None
    timestamps: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A log as far as there is one; ``complete`` says that it has ended and nothing of it is missing."""

    source: Source
    complete: bool
    readings: list[Reading]
    pods: list[RunPod]


class JobLogs:
    """Reads logs of runs."""

    def __init__(self, database: Database, pods: PodLogs) -> None:
        self._database = database
        self._pods = pods

    async def read(self, caller: Caller, uid: str, wish: Wish) -> tuple[Found, str]:
        """What there is now. Raises JobNotFoundError, or the errors of stores that are away."""
        record = await self._record(caller, uid)
        found = await self._find(record, wish)
        return found, "".join(_text(found, wish))

    async def follow(self, caller: Caller, uid: str, wish: Wish) -> tuple[Found, AsyncIterator[str]]:
        """What there is now, and then each line as it comes, until the attempt's pods have ended. Raises as ``read``;
        what fails on the way ends the stream with an error, so that its end means that all was said."""
        record = await self._record(caller, uid)
        found = await self._find(record, wish)
        return found, self._lines(caller, record, wish, found)

    async def _lines(self, caller: Caller, record: JobRecord, wish: Wish, found: Found) -> AsyncIterator[str]:
        attempt = wish.attempt if wish.attempt is not None else record.attempt or None
        fixed = Wish(attempt, wish.worker, wish.since, wish.tail, wish.timestamps)
        said = _Said()
        yield "".join(_text(found, fixed, said.note))
        while not (found.complete or (State(record.state).terminal and found.source is not Source.POD)):
            await asyncio.sleep(_LOOK_SECONDS)
            record = await self._record(caller, record.uid)
            if fixed.attempt is None and record.attempt:
                fixed = Wish(record.attempt, wish.worker, wish.since, wish.tail, wish.timestamps)
            found = await self._find(record, fixed, after=said.at)
            fresh = [line for reading in found.readings for line in _all(reading) if said.is_new(line)]
            for line in fresh:
                said.note(line)
            yield "".join(shown(line, timestamps=wish.timestamps) for line in fresh)

    async def _record(self, caller: Caller, uid: str) -> JobRecord:
        async with self._database.transaction() as session:
            return await visible(session, caller, uid)

    async def _find(self, record: JobRecord, wish: Wish, *, after: datetime | None = None) -> Found:
        attempt = wish.attempt if wish.attempt is not None else record.attempt
        ended = State(record.state).terminal or attempt < record.attempt
        async with self._database.transaction() as session:
            kept = await job_logs.of_worker(session, record.uid, attempt=attempt, worker=wish.worker)
        whole = {log.pod_uid for log in kept if log.ended}
        try:
            pods = await self._of_worker(record, attempt, wish.worker)
        except OctoError:
            # The archive may have it all; if not, it is the better part of nothing.
            if not kept:
                raise
            pods = []
        live = [pod for pod in pods if pod.uid not in whole]
        readings = {
            log.pod_uid: Reading(parse(log.head), None if log.tail is None else parse(log.tail)) for log in kept
        }
        for pod in live:
            try:
                readings[pod.uid] = (
                    await self._pods.read(pod) if after is None else Reading(await self._pods.since(pod, after), None)
                )
            except (NotFoundError, InvalidError):
                live = [other for other in live if other.uid != pod.uid]
        missing = any(log.tail is not None or not log.ended for log in kept if log.pod_uid not in {p.uid for p in live})
        closed = bool(readings) and ended and all(pod.ended for pod in live)
        source = Source.POD if live else Source.ARCHIVE if kept else Source.NONE
        return Found(source, closed and not missing, list(readings.values()), live)

    async def _of_worker(self, record: JobRecord, attempt: int, worker: int) -> list[RunPod]:
        if record.deleted_at is not None:
            return []
        selector = f"{names.LABEL_JOB_UID}={record.uid},{names.LABEL_ATTEMPT}={attempt}"
        return [pod for pod in await self._pods.pods(record.namespace, selector) if pod.worker == worker]


class _Said:
    """What was sent already, so that lines of a second that is read again are not sent twice."""

    def __init__(self) -> None:
        self.at: datetime | None = None
        self._recent: deque[Line] = deque(maxlen=50_000)
        self._known: set[Line] = set()

    def is_new(self, line: Line) -> bool:
        return line not in self._known

    def note(self, line: Line) -> None:
        if len(self._recent) == self._recent.maxlen:
            self._known.discard(self._recent[0])
        self._recent.append(line)
        self._known.add(line)
        self.at = line.at


def _all(reading: Reading) -> Iterable[Line]:
    yield from reading.head
    yield from reading.tail or ()


def _text(found: Found, wish: Wish, note: Callable[[Line], None] | None = None) -> list[str]:
    out: deque[str] = deque(maxlen=wish.tail)
    for reading in found.readings:
        for part in (reading.head, reading.tail):
            if part is None:
                continue
            if part is reading.tail:
                out.append(_LEFT_OUT)
            for line in part:
                if note is not None:
                    note(line)
                if wish.since is None or line.at >= wish.since:
                    out.append(shown(line, timestamps=wish.timestamps))
    return list(out)
