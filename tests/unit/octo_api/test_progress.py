"""How often the progress of a run is written to its OctoJob."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from octo_api.reports.authorize import Reporter
from octo_api.reports.service import ReportService
from octo_core.db.session import Database
from octo_core.domain.errors import ConflictError
from octo_core.domain.report import Report
from octo_core.domain.status import Progress
from octo_core.kube.client import KubeClient

REPORTER = Reporter("octo", "run", "uid-run", "run-1", "bank")


class Cluster:
    """One OctoJob, and the moments at which its progress was written."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, tzinfo=UTC)
        self.written: list[float] = []
        self.refuse = False

    def clock(self) -> datetime:
        return self.now

    async def get(self, *_: Any) -> dict[str, Any]:
        return {"metadata": {"uid": "uid-run", "resourceVersion": "1"}, "status": {"state": "Running", "attempt": 1}}

    async def patch(self, *_: Any, **__: Any) -> None:
        if self.refuse:
            raise ConflictError("changed")
        self.written.append((self.now - datetime(2026, 1, 2, tzinfo=UTC)).total_seconds())


async def report_every_second(cluster: Cluster, seconds: int, service: ReportService | None = None) -> ReportService:
    made = service or ReportService(
        cast(Database, None),
        cast(KubeClient, cluster),
        clock=cluster.clock,
        progress_interval=timedelta(seconds=10),
    )
    for _ in range(seconds):
        await made.take(REPORTER, Report(attempt=1, progress=Progress(files_done=1)))
        cluster.now += timedelta(seconds=1)
    return made


async def test_a_run_that_ends_soon_costs_no_write_and_a_long_one_few() -> None:
    cluster = Cluster()
    service = await report_every_second(cluster, 10)
    assert cluster.written == []
    await report_every_second(cluster, 25, service)
    assert cluster.written == [10, 20, 30]


async def test_what_was_refused_is_written_with_the_next_report() -> None:
    cluster = Cluster()
    service = await report_every_second(cluster, 10)
    cluster.refuse = True
    await report_every_second(cluster, 2, service)
    cluster.refuse = False
    await report_every_second(cluster, 2, service)
    assert cluster.written == [12]
