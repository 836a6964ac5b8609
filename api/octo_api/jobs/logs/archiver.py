"""Keeps the logs of pods that have ended or are about to go, whatever image they run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from octo_api.errors import ClusterRefusedError
from octo_api.jobs.logs.lines import join
from octo_api.jobs.logs.pods import PodLogs, RunPod
from octo_core.db import job_logs
from octo_core.db.job_logs import PodLog
from octo_core.db.session import Database
from octo_core.domain import names
from octo_core.domain.errors import ClusterUnavailableError, InvalidError, NotFoundError

logger = logging.getLogger(__name__)

_FAILURES = 3
"""Pods in one round whose node does not answer; then it is rather the cluster that is away."""
_TRY_AGAIN = timedelta(minutes=1)
_SELECTOR = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY},{names.LABEL_JOB_UID}"


class LogArchiver:
    """Any number may work at once: a log that is whole is written once, and reading it again changes nothing.

    A pod that has ended stays until its OctoJob's time to live is over, so an archiver that was killed, or
    Postgres that was away, loses nothing of it: the next round reads it.
    """

    def __init__(
        self,
        database: Database,
        pods: PodLogs,
        *,
        namespace: str,
        clock: Callable[[], datetime],
        kept: timedelta,
    ) -> None:
        self._database = database
        self._pods = pods
        self._namespace = namespace
        self._clock = clock
        self._kept = kept
        self._done: set[str] = set()
        self._unread: dict[str, datetime] = {}
        """Until when not to ask again for the log of a pod that could not be read: each time takes as long as a node
        that is lost keeps silent."""

    async def round(self) -> int:
        """Keep what is new; returns of how many pods. Raises ClusterUnavailableError or DatabaseUnavailableError.

        A pod whose log cannot be read, as on a node that is lost, keeps no other's from being kept.
        """
        present = await self._pods.pods(self._namespace, _SELECTOR)
        there, now = {pod.uid for pod in present}, self._clock()
        self._done &= there
        self._unread = {uid: until for uid, until in self._unread.items() if uid in there and now < until}
        held = self._done | self._unread.keys()
        due = [pod for pod in present if (pod.ended or pod.leaving) and pod.uid not in held]
        if not due:
            return 0
        async with self._database.transaction() as session:
            self._done |= await job_logs.ended(session, [pod.uid for pod in due])
        count = failures = 0
        for pod in due:
            if pod.uid in self._done:
                continue
            try:
                count += await self._keep(pod)
            except (ClusterUnavailableError, ClusterRefusedError) as error:
                logger.warning("a log cannot be read", extra={"pod": pod.name, "cause": error.detail})
                self._unread[pod.uid] = self._clock() + _TRY_AGAIN
                failures += 1
                if failures == _FAILURES:
                    raise
        return count

    async def forget(self) -> None:
        """Forget logs whose time is over. Raises DatabaseUnavailableError."""
        async with self._database.transaction() as session:
            await job_logs.delete_old(session, before=self._clock() - self._kept)

    async def _keep(self, pod: RunPod) -> bool:
        try:
            reading = await self._pods.read(pod)
        except (NotFoundError, InvalidError) as error:
            # Gone between the list and the read, or it never started a container: nothing can be had.
            logger.info("no log to keep", extra={"pod": pod.name, "cause": error.detail})
            self._done.add(pod.uid)
            return False
        kept = PodLog(
            pod_uid=pod.uid,
            job_uid=pod.job_uid,
            attempt=pod.attempt,
            worker=pod.worker,
            created_at=pod.created_at,
            head=join(reading.head),
            tail=None if reading.tail is None else join(reading.tail),
            ended=pod.ended,
        )
        async with self._database.transaction() as session:
            await job_logs.put(session, kept, now=self._clock())
        if pod.ended:
            self._done.add(pod.uid)
        return True
