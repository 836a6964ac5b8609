"""One attempt of one run: list S3, list the source, move what is pending, say how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import datetime

from octo_core.domain.failure import Category
from octo_core.domain.provider import OpenPgpMode, S3Destination
from octo_core.domain.report import FileOutcome, FileResult, Outcome
from octo_core.domain.run import Run
from octo_core.domain.selection import SelectionPolicy
from octo_core.domain.status import ManifestRef, Progress
from octo_worker import manifest, outcome
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.recovery import rows_of_earlier_attempts
from octo_worker.report import Reporter
from octo_worker.selection import Plan, Target, make_plan
from octo_worker.settings import WorkerSettings
from octo_worker.sinks.s3 import S3Sink
from octo_worker.sources import RemoteFile, Source, source_of
from octo_worker.stages.decrypt import KeyRing, key_ring
from octo_worker.transfer import Transfers, unchanged

LOOKUPS_AT_ONCE = 16
MANIFEST_SECONDS = 20.0
CANCELLED_FLUSH_SECONDS = 3.0

log = logging.getLogger(__name__)


class Tally:
    """What has become of the run so far. Rows are kept for the manifest."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.rows: list[FileResult] = []
        self.failures: Counter[Category] = Counter()
        self.first_message = ""
        self.listed = self.selected = self.skipped = self.done = self.downloaded = self.uploaded = 0

    def progress(self) -> Progress:
        """The counts as they are reported; without a time, so that equal ones compare equal."""
        return Progress(
            files_listed=self.listed,
            files_selected=self.selected,
            files_skipped=self.skipped,
            files_done=self.done,
            files_failed=sum(self.failures.values()),
            bytes_downloaded=self.downloaded,
            bytes_uploaded=self.uploaded,
            summary=f"{self.done}/{self.selected}",
        )

    def add(self, row: FileResult) -> None:
        """Keep a row."""
        self.rows.append(row)
        if row.outcome is FileOutcome.STORED:
            self.uploaded += row.size or 0

    def count_download(self, count: int) -> None:
        """Count bytes read from the source."""
        self.downloaded += count

    def failed_row(self, file: RemoteFile, error: Failed) -> FileResult:
        """Count a failed file and make its row."""
        self.failures[error.category] += 1
        self.first_message = self.first_message or f"{file.path}: {error.detail}"
        return FileResult(
            source_path=file.path,
            outcome=FileOutcome.FAILED,
            source_size=max(file.stat.size, 0),
            source_modified_at=file.stat.modified_at,
            category=error.category,
            message=error.detail[:1024],
            finished_at=self._now(),
        )


class Attempt:
    """Runs a run document to its outcome. It raises nothing."""

    def __init__(self, run: Run, settings: WorkerSettings, now: Callable[[], datetime]) -> None:
        self._run = run
        self._settings = settings
        self._now = now
        self._tally = Tally(now)
        self._reporter = Reporter(run.report_url, run.job, settings.token_file, self._tally.progress)
        self._sink: S3Sink | None = None

    async def run(self) -> Outcome:
        """The outcome, also when the task is cancelled; by then nothing half-done is left."""
        self._reporter.start()
        ended, flush = await self._guarded(), self._settings.report_flush_seconds
        if ended.category is Category.CANCELLED:
            flush = min(flush, CANCELLED_FLUSH_SECONDS)
        with suppress(asyncio.CancelledError):  # all that is left is telling the api
            await self._reporter.finish(flush)
        return ended

    async def _guarded(self) -> Outcome:
        try:
            return await self._pipeline()
        except asyncio.CancelledError:
            failure = Failed(Category.CANCELLED, "the run was told to stop")
        except Failed as error:
            failure = error
        except Exception as error:
            log.exception("the run failed for a reason nobody thought of")
            failure = Failed(Category.UNKNOWN, f"unexpected {type(error).__name__}; see the log")
        return outcome.failed(failure, self._final(), await self._manifest())

    async def _pipeline(self) -> Outcome:
        run, tally = self._run, self._tally
        if run.destination is None:
            raise Failed(Category.CONFIG, "the run has no destination")
        destination, secrets = run.destination.s3, Secrets(self._settings.run_secrets_dir)
        source = source_of(run, secrets)
        sink = self._sink = S3Sink(destination, secrets)
        async with AsyncExitStack() as stack:
            stored = await sink.objects(destination.prefix)
            await stack.enter_async_context(source.session())
            plan = await self._plan(source, destination, stored)
            if run.selection.policy is SelectionPolicy.CHANGED_OR_NEW:
                changed = await _changed(sink, plan.stored)
            else:
                changed = []
            pending = [*plan.new, *changed]
            tally.listed, tally.skipped = plan.listed, plan.left_out + len(plan.stored) - len(changed)
            tally.selected = len(pending) + len(plan.refused)
            log.info("files selected", extra={"listed": tally.listed, "selected": tally.selected})
            if run.selection.dry_run:
                return Outcome(
                    reason="DryRun", message=f"{tally.selected} files would be moved", progress=self._final()
                )
            if run.job.attempt > 1:
                for row in await rows_of_earlier_attempts(sink, run.job, plan.stored, stored):
                    self._row(row)
            for file, why in plan.refused:
                self._failed(file, Failed(Category.CONFIG, why))
            ring: KeyRing | None = None
            if run.decrypt is not None and any(target.opening.encrypted for target in pending):
                ring = await stack.enter_async_context(key_ring(self._settings.memory_dir, secrets))
            transfers = Transfers(run, source, sink, ring, self._now, self._row, tally.count_download)
            transfers.claims.update(
                (target.key, target.file.path)
                for target in [*plan.new, *plan.stored]
                if not target.opening.shape.archive
            )
            await self._move_all(transfers, pending)
        return outcome.concluded(
            tally.failures, tally.first_message, run.transfer.on_file_error, self._final(), await self._manifest()
        )

    async def _plan(self, source: Source, destination: S3Destination, stored: Container[str]) -> Plan:
        pgp = self._run.decrypt.openpgp.mode if self._run.decrypt else OpenPgpMode.NEVER
        return make_plan(
            [file async for file in source.listing()],
            stored,
            self._run.selection,
            prefix=destination.prefix,
            pgp=pgp,
            unpack=self._run.unpack.mode,
            now=self._now(),
        )

    async def _move_all(self, transfers: Transfers, pending: list[Target]) -> None:
        queue = iter(pending)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._run.transfer.concurrent_files, len(pending))):
                group.create_task(self._move_some(transfers, queue))

    async def _move_some(self, transfers: Transfers, queue: Iterator[Target]) -> None:
        policy = self._run.selection.policy
        for target in queue:
            file = target.file
            try:
                await transfers.move(target, overwrite=policy is not SelectionPolicy.NEW_ONLY)
            except Failed as error:
                self._failed(file, error)
            except Exception as error:
                log.exception("a file failed for a reason nobody thought of", extra={"path": file.path})
                self._failed(file, Failed(Category.UNKNOWN, f"unexpected {type(error).__name__}; see the log"))
            else:
                self._tally.done += 1
                log.info("file stored", extra={"path": file.path})

    def _failed(self, file: RemoteFile, error: Failed) -> None:
        log.warning("file failed", extra={"path": file.path, "category": error.category.value, "why": error.detail})
        self._row(self._tally.failed_row(file, error))

    def _row(self, row: FileResult) -> None:
        self._tally.add(row)
        self._reporter.add(row)

    def _final(self) -> Progress:
        return self._tally.progress().model_copy(update={"updated_at": self._now()})

    async def _manifest(self) -> ManifestRef | None:
        """Written if there is anything to say. That it cannot be written does not change how the run ended."""
        destination = self._run.destination
        if not self._tally.rows or self._sink is None or destination is None:
            return None
        try:
            async with asyncio.timeout(MANIFEST_SECONDS):
                return await manifest.write(
                    self._sink, destination.s3.bucket, destination.s3.prefix, self._run.job, self._tally.rows
                )
        except (Failed, TimeoutError) as error:
            log.warning("the manifest could not be written", extra={"why": str(error)})
            return None


async def _changed(sink: S3Sink, stored: list[Target]) -> list[Target]:
    """Those whose object was made from another state of the file than the one listed."""
    gate = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def look(target: Target) -> bool:
        async with gate:
            facts = await sink.facts(target.key)
        return facts is None or not unchanged(facts, target.file)

    differs = await asyncio.gather(*(look(target) for target in stored))
    return [target for target, different in zip(stored, differs, strict=True) if different]
