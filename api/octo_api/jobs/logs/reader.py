"""The log of a run: from its pod while that is there, else from the archive."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from octo_api.auth.caller import Caller
from octo_api.jobs.logs.lines import Line, Said, parse, shown
from octo_api.jobs.logs.pods import PodLogs, Reading, RunPod
from octo_api.jobs.visible import visible
from octo_api.live import Still
from octo_core.db import job_logs
from octo_core.db.job_reads import JobRecord
from octo_core.db.session import Database
from octo_core.domain import names
from octo_core.domain.errors import ClusterUnavailableError, InvalidError, NotFoundError, OctoError
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
    readings: Mapping[str, Reading]
    """By the uid of the pod, the first one first."""


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

    async def follow(self, caller: Caller, uid: str, wish: Wish, still: Still) -> tuple[Found, AsyncIterator[str]]:
        """What there is now, and then each line as it comes, until the attempt's pods have ended. Raises as ``read``;
        what fails on the way, or what ``still`` raises, ends the stream with an error, so that its end means that all
        was said."""
        record = await self._record(caller, uid)
        found = await self._find(record, wish)
        return found, self._lines(caller, record, wish, found, still)

    async def _lines(
        self, caller: Caller, record: JobRecord, wish: Wish, found: Found, still: Still
    ) -> AsyncIterator[str]:
        attempt = wish.attempt if wish.attempt is not None else record.attempt or None
        fixed = Wish(attempt, wish.worker, wish.since, wish.tail, wish.timestamps)
        said: defaultdict[str, Said] = defaultdict(Said)
        for uid, reading in found.readings.items():
            said[uid].new(_all(reading))
        yield "".join(_text(found, fixed))
        while not (found.complete or (State(record.state).terminal and found.source is not Source.POD)):
            await asyncio.sleep(_LOOK_SECONDS)
            await still()
            record = await self._record(caller, record.uid)
            if fixed.attempt is None and record.attempt:
                fixed = Wish(record.attempt, wish.worker, wish.since, wish.tail, wish.timestamps)
            found = await self._find(record, fixed, after={uid: each.at for uid, each in said.items()})
            fresh = []
            for uid, reading in found.readings.items():
                new = said[uid].new(_all(reading))
                if not reading.whole and not new:
                    raise ClusterUnavailableError("more was written in a second than can be read of it")
                fresh += new
            yield "".join(shown(line, timestamps=wish.timestamps) for line in fresh if _wanted(line, wish))

    async def _record(self, caller: Caller, uid: str) -> JobRecord:
        async with self._database.transaction() as session:
            return await visible(session, caller, uid)

    async def _find(
        self, record: JobRecord, wish: Wish, *, after: Mapping[str, datetime | None] = MappingProxyType({})
    ) -> Found:
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
            at = after.get(pod.uid)
            try:
                readings[pod.uid] = await (self._pods.read(pod) if at is None else self._pods.since(pod, at))
            except (NotFoundError, InvalidError):
                live = [other for other in live if other.uid != pod.uid]
        missing = any(log.tail is not None or not log.ended for log in kept if log.pod_uid not in {p.uid for p in live})
        to_the_end = all(pod.ended for pod in live) and all(reading.whole for reading in readings.values())
        closed = bool(readings) and ended and to_the_end
        source = Source.POD if live else Source.ARCHIVE if kept else Source.NONE
        return Found(source, closed and not missing, readings)

    async def _of_worker(self, record: JobRecord, attempt: int, worker: int) -> list[RunPod]:
        if record.deleted_at is not None:
            return []
        selector = f"{names.LABEL_JOB_UID}={record.uid},{names.LABEL_ATTEMPT}={attempt}"
        return [pod for pod in await self._pods.pods(record.namespace, selector) if pod.worker == worker]


def _all(reading: Reading) -> Iterable[Line]:
    yield from reading.head
    yield from reading.tail or ()


def _wanted(line: Line, wish: Wish) -> bool:
    return wish.since is None or line.at >= wish.since


def _text(found: Found, wish: Wish) -> list[str]:
    out: deque[str] = deque(maxlen=wish.tail)
    for reading in found.readings.values():
        for part in (reading.head, reading.tail):
            if part is None:
                continue
            if part is reading.tail:
                out.append(_LEFT_OUT)
            for line in part:
                if _wanted(line, wish):
                    out.append(shown(line, timestamps=wish.timestamps))
    return list(out)
