"""One attempt of one run: list S3, list the source, move what is pending, say how it ended."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from octo_core.domain.failure import Category
from octo_core.domain.provider import DispositionAction, OpenPgpMode, S3Destination
from octo_core.domain.report import FileResult, Outcome
from octo_core.domain.run import Run
from octo_core.domain.selection import OverwritePolicy, SelectionPolicy
from octo_core.domain.status import ManifestRef
from octo_worker import manifest, outcome
from octo_worker.bridge import Stop
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.lookups import facts_of
from octo_worker.observer import Observer, Silent
from octo_worker.recovery import rows_of_earlier_attempts
from octo_worker.report import Reporter
from octo_worker.selection import OwnKeys, Plan, Planner, SkipReason, Target, disposition_of
from octo_worker.settings import WorkerSettings
from octo_worker.signatures import SIGNATURES, detached_signature
from octo_worker.sources import RemoteFile, Source, Unreadable, source_of
from octo_worker.sources.tries import Tries
from octo_worker.stages.decrypt import KeyRing, key_ring
from octo_worker.stages.verify import LeftForLaterError, download
from octo_worker.tally import Tally
from octo_worker.transfer import REFETCH_MARK, Claims, Move, Transfers, unchanged

if TYPE_CHECKING:
    from octo_worker.sinks.s3 import S3Sink

T = TypeVar("T")

MANIFEST_SECONDS = 20.0
CANCELLED_FLUSH_SECONDS = 3.0
_OVERWRITE = {
    SelectionPolicy.NEW_ONLY: OverwritePolicy.NEVER,
    SelectionPolicy.CHANGED_OR_NEW: OverwritePolicy.IF_CHANGED,
    SelectionPolicy.EXPLICIT: OverwritePolicy.IF_CHANGED,
    SelectionPolicy.ALL: OverwritePolicy.ALWAYS,
}

log = logging.getLogger(__name__)


class Attempt:
    """Runs a run document to its outcome. It raises nothing."""

    def __init__(
        self, run: Run, settings: WorkerSettings, now: Callable[[], datetime], observer: Observer | None = None
    ) -> None:
        self._run = run
        self._settings = settings
        self._now = now
        self._observer = observer or Silent()
        self._shard = settings.shard
        self._signatures = run.decrypt is not None and run.decrypt.openpgp.require_signature
        self._refetch = {refetch.path: refetch.id for refetch in run.selection.refetch}
        self._tally = Tally(now)
        self._reporter = Reporter(run.report_url, run.job, self._shard, settings.token_file, self._tally.progress)
        self._secrets = Secrets(settings.run_secrets_dir)
        self._stop = Stop()
        self._sink: S3Sink | None = None
        # One for each file, and some for what else blocks.
        self._threads = ThreadPoolExecutor(run.transfer.concurrent_files + 2, thread_name_prefix="file")

    async def run(self) -> Outcome:
        """The outcome, also when the task is cancelled; by then nothing half-done is left."""
        self._reporter.start()
        ended, flush = await self._guarded(), self._settings.report_flush_seconds
        if ended.category is Category.CANCELLED:
            flush = min(flush, CANCELLED_FLUSH_SECONDS)
        with suppress(asyncio.CancelledError):  # all that is left is telling the api
            await self._reporter.finish(flush)
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._sink is not None:
            self._sink.close()
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
        return await self._told(outcome.failed(failure, self._tally.final()))

    async def _pipeline(self) -> Outcome:
        run, tally = self._run, self._tally
        if run.destination is None:
            raise Failed(Category.CONFIG, "the run has no destination")
        async with AsyncExitStack() as stack:
            ring_to_be = self._ring_to_be(stack)
            source, sink, written = await self._opened(stack, run.destination.s3)
            if run.selection.policy is SelectionPolicy.EXPLICIT and not run.selection.files:
                raise Failed(Category.CONFIG, "selection.policy is Explicit, and selection.files names no file")
            plan = await self._plan(source, sink, written)
            if run.selection.dry_run:
                return Outcome(
                    reason="DryRun", message=f"{tally.selected} files would be moved", progress=tally.final()
                )
            if self._recovering(written):
                for row in await self._in_thread(
                    lambda: list(rows_of_earlier_attempts(sink, run.job, plan.stored, written))
                ):
                    self._row(row)
            for refusal in plan.refused:
                self._failed(refusal.what, Failed(refusal.category, refusal.why))
            await self._in_thread(self._abort_stale_uploads, sink, plan.pending)
            ring: KeyRing | None = None
            if plan.pending and (self._signatures or any(target.opening.encrypted for target in plan.pending)):
                if ring_to_be is None:
                    raise Failed(Category.CONFIG, "files are encrypted, and the provider has no decrypt.openpgp")
                ring = await self._ended(ring_to_be)
            await self._move_all(source, sink, ring, plan)
            await self._dispose_of_stored(source, sink, plan.stored)
        return await self._told(
            outcome.concluded(
                tally.failures,
                tally.first_message,
                run.transfer.on_file_error,
                tally.final(),
                rows=tally.rows.count,
            )
        )

    async def _opened(self, stack: AsyncExitStack, to: S3Destination) -> tuple[Source, S3Sink, dict[str, float]]:
        """The source, connected until the end of the stack; the sink, and what lies in it."""
        # Libraries take half a second to load: the source's while gpg makes the ring, the sink's while the server
        # answers too.
        source = source_of(self._run, self._secrets)
        connecting = asyncio.ensure_future(stack.enter_async_context(source.session()))
        under_way: list[asyncio.Future[Any]] = [connecting]
        try:
            sink = self._sink = await self._in_thread(_sink, to, self._secrets, self._stop)
            listing = asyncio.ensure_future(self._in_thread(self._written, sink, to.prefix))
            under_way.append(listing)
            await connecting
            return source, sink, await listing
        except BaseException:
            for future in under_way:
                future.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            raise

    # ---- what to move ---------------------------------------------------------------------------

    async def _plan(self, source: Source, sink: S3Sink, written: dict[str, float]) -> Plan:
        run, tally = self._run, self._tally
        keep_stored = (
            run.selection.policy is SelectionPolicy.CHANGED_OR_NEW
            or disposition_of(run).action is not DispositionAction.NONE
            or self._recovering(written)
        )
        planner = Planner(
            run,
            written,
            now=self._now(),
            shard=(self._shard, run.transfer.parallelism),
            keep_stored=keep_stored,
            skipped=self._observer.skipped,
        )
        async for file in source.listing():
            planner.add(file)
        plan = planner.plan()
        changed: list[Target] = []
        if run.selection.policy is SelectionPolicy.CHANGED_OR_NEW:
            changed = await self._in_thread(self._changed, sink, plan.stored)
            taken = set(changed)
            plan.stored = [target for target in plan.stored if target not in taken]
        if self._refetch:
            again = await self._in_thread(self._to_refetch, sink, plan.stored)
            plan.stored = [target for target in plan.stored if target not in set(again)]
            changed += again
        for target in plan.stored:
            planner.skip(target.file, SkipReason.ALREADY_STORED)
        plan.pending = planner.choose([*plan.pending, *changed])
        tally.listed, tally.skipped = plan.listed, plan.skipped.total()
        tally.selected = len(plan.pending) + len(plan.refused)
        self._observer.planned(plan)
        log.info(
            "files selected",
            extra={
                "listed": tally.listed,
                "selected": tally.selected,
                "skipped": {reason.name: count for reason, count in plan.skipped.items()},
            },
        )
        return plan

    def _ring_to_be(self, stack: AsyncExitStack) -> asyncio.Future[KeyRing] | None:
        """The key ring, in the making from now on; None if nothing could need one. Ended with the stack."""
        run = self._run
        if run.decrypt is None or run.selection.dry_run:
            return None
        settings = run.decrypt.openpgp
        if settings.mode is OpenPgpMode.NEVER and not self._signatures:
            return None
        ring = key_ring(self._settings.memory_dir, self._secrets, settings)
        # Not by a task of its own, which would begin only once the libraries are loaded.
        making = self._begun(ring.__enter__)

        async def end() -> None:
            await asyncio.wait((making,))
            if making.exception() is None:
                await self._in_thread(ring.__exit__, None, None, None)

        stack.push_async_callback(end)
        return making

    def _recovering(self, written: dict[str, float]) -> bool:
        """Whether a pod has worked on this run before: in an earlier attempt, or in this one, when a disruption took
        it, and it came to write its manifest."""
        job, to = self._run.job, self._run.destination
        shards = self._run.transfer.parallelism
        own = manifest.key_of(to.s3.prefix if to else "", job, shard=self._shard, shards=shards)
        return job.attempt > 1 or own in written

    def _written(self, sink: S3Sink, prefix: str) -> dict[str, float]:
        """All keys below a prefix, and the Unix time at which each was written."""
        written: dict[str, float] = {}
        for entry in sink.objects(prefix):
            self._stop.check()
            written[entry.key] = entry.modified_at.timestamp()
        return written

    def _changed(self, sink: S3Sink, stored: list[Target]) -> list[Target]:
        """Those whose object was made from another state of the file than the one listed."""
        changed = []
        for target, facts in facts_of(sink, stored):
            self._stop.check()
            if facts is None or not unchanged(facts, target.file):
                changed.append(target)
        return changed

    def _to_refetch(self, sink: S3Sink, stored: list[Target]) -> list[Target]:
        """Those to be fetched again whose object does not say that this has been done."""
        asked = [target for target in stored if target.file.path in self._refetch]
        again = []
        for target, facts in facts_of(sink, asked):
            self._stop.check()
            if facts is None or facts.metadata.get(REFETCH_MARK) != self._refetch[target.file.path]:
                again.append(target)
        return again

    def _abort_stale_uploads(self, sink: S3Sink, pending: list[Target]) -> None:
        """What a killed run left open of the keys that this one is about to write; it only costs its owner money."""
        if not pending or self._run.destination is None:
            return
        prefix = self._run.destination.s3.prefix
        try:
            own = OwnKeys(pending, prefix, members=self._run.transfer.parallelism == 1)
            aborted = sink.abort_stale_uploads(own, prefix)
        except Failed as error:
            log.warning("stale uploads could not be looked for", extra={"why": error.detail})
        else:
            if aborted:
                log.info("stale uploads aborted", extra={"count": aborted})

    # ---- moving ---------------------------------------------------------------------------------

    async def _move_all(self, source: Source, sink: S3Sink, ring: KeyRing | None, plan: Plan) -> None:
        run = self._run
        claims = Claims()
        for target in (*plan.pending, *plan.stored):
            if target.opening.archive is None:
                claims.take(target.key, target.file.path)
        overwrite = run.transfer.overwrite or _OVERWRITE[run.selection.policy]
        transfers = Transfers(run, sink, ring, self._stop, asyncio.get_running_loop(), overwrite, claims)
        settled = self._now() + timedelta(seconds=run.selection.stability_seconds)
        if plan.pending:
            await asyncio.sleep((settled - self._now()).total_seconds())
        queue = iter(plan.pending)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(run.transfer.concurrent_files, len(plan.pending))):
                group.create_task(self._move_some(source, transfers, queue))

    async def _move_some(self, source: Source, transfers: Transfers, queue: Iterator[Target]) -> None:
        for target in queue:
            self._observer.began(target.file)
            try:
                await self._move(source, transfers, target)
            finally:
                self._observer.ended(target.file)

    async def _move(self, source: Source, transfers: Transfers, target: Target) -> None:
        file, loop, tally = target.file, asyncio.get_running_loop(), self._tally
        tries = Tries(self._run.transfer.max_attempts_per_file)

        def count(size: int) -> None:
            tally.downloaded += size
            self._observer.downloaded(file, size)

        def opened() -> AsyncGenerator[bytes]:
            return download(source, file, tries, count)

        def row(result: FileResult) -> None:
            loop.call_soon_threadsafe(self._row, result)

        try:
            signature = await self._signature(source, target, tries) if self._signatures else None
            refetch = self._refetch.get(file.path)
            move = Move(target, opened, row, self._now, lambda: tries.used, signature, refetch)
            await self._in_thread(transfers.move, move)
        except LeftForLaterError:
            log.info("file left for a later run, as it has changed since it was listed", extra={"path": file.path})
            tally.left_for_later()
            self._observer.skipped(file, SkipReason.CHANGING)
        except Failed as error:
            if self._stop.is_set():
                raise asyncio.CancelledError from error
            _let_go(error)
            self._failed(file, error, tries=tries.used)
        except Exception as error:
            log.exception("a file failed for a reason nobody thought of", extra={"path": file.path})
            _let_go(error)
            self._failed(file, Failed(Category.UNKNOWN, f"unexpected {type(error).__name__}; see the log"))
        else:
            tally.done += 1
            log.info("file stored", extra={"path": file.path})
            await self._dispose(source, file)
        finally:
            tally.retries += tries.used - 1

    async def _signature(self, source: Source, target: Target, tries: Tries) -> bytes | None:
        """The detached signature beside a file. Raises ``Failed`` if there is none and there can be no other."""
        beside = await detached_signature(source, target.file, tries)
        if beside is not None:
            return beside.data
        if not target.opening.encrypted:
            raise Failed(
                Category.INTEGRITY,
                f"decrypt.openpgp.requireSignature is set, and there is no {' or '.join(SIGNATURES)} beside the file",
            )
        return None

    # ---- source files that are stored -----------------------------------------------------------

    async def _dispose(self, source: Source, file: RemoteFile) -> None:
        """The objects are visible whatever becomes of this; that the source file stays is a failure of its own."""
        disposition = disposition_of(self._run)
        if disposition.action is DispositionAction.NONE:
            return
        try:
            if not await source.dispose(file, disposition):
                log.info("the file changed after it was read, and stays on the server", extra={"path": file.path})
        except Failed as error:
            why = Failed(error.category, f"stored, but it stays on the server: {error.detail}")
            log.warning("source file stays", extra={"path": file.path, "why": why.detail})
            self._tally.count_failure(file, why)

    async def _dispose_of_stored(self, source: Source, sink: S3Sink, stored: list[Target]) -> None:
        """What an earlier run stored, but did not come to move or delete."""
        if disposition_of(self._run).action is DispositionAction.NONE:
            return
        changed = set(await self._in_thread(self._changed, sink, stored))
        for target in stored:
            if target not in changed:
                await self._dispose(source, target.file)

    # ---- rows, manifest, threads ----------------------------------------------------------------

    def _failed(self, what: RemoteFile | Unreadable, error: Failed, *, tries: int = 1) -> None:
        log.warning("file failed", extra={"path": what.path, "category": error.category.value, "why": error.detail})
        self._row(self._tally.failed(what, error, tries=tries))

    def _row(self, row: FileResult) -> None:
        self._tally.add(row)
        self._reporter.add(row)
        self._observer.row(row)

    async def _told(self, ended: Outcome) -> Outcome:
        """The outcome, with the manifest that tells of it."""
        return ended.model_copy(update={"manifest": await self._manifest(ended)})

    async def _manifest(self, ended: Outcome) -> ManifestRef | None:
        """Written if there is anything to say. That it cannot be written does not change how the run ended."""
        run, rows, sink = self._run, self._tally.rows, self._sink
        shards = run.transfer.parallelism
        if sink is None or run.destination is None or run.selection.dry_run or (not rows.count and shards == 1):
            return None
        to = run.destination.s3
        if self._stop.is_set():
            # This one gives up at once now, which the last write must not.
            sink.close()
            sink = self._sink = _sink(to, self._secrets)
        write = partial(
            manifest.write, sink, to.bucket, to.prefix, run.job, rows, ended, shard=self._shard, shards=shards
        )
        try:
            async with asyncio.timeout(MANIFEST_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, write)
        except (Failed, TimeoutError) as error:
            log.warning("the manifest could not be written", extra={"why": str(error)})
            return None

    async def _in_thread(self, call: Callable[..., T], *args: object) -> T:
        """Run what blocks in a thread. When cancelled, it is told to stop, and waited for."""
        return await self._ended(self._begun(call, *args))

    def _begun(self, call: Callable[..., T], *args: object) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    async def _ended(self, future: asyncio.Future[T]) -> T:
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._stop.set()
            with suppress(Exception):
                await future
            raise


def _let_go(error: BaseException) -> None:
    """Free what a failed file held in memory: an error keeps the frames it came through, and is often in a cycle."""
    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__


def _sink(destination: S3Destination, secrets: Secrets, stop: Stop | None = None) -> S3Sink:
    from octo_worker.sinks.s3 import S3Sink

    return S3Sink(destination, secrets, stop=stop)
