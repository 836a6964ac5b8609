"""One object's multipart upload: parts on their way while the next is filled, then all of it or nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from typing import NamedTuple

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.limits import MemoryBudget
from octo_worker.sinks.errors import S3Error
from octo_worker.sinks.multipart import DamagedObjectError, Multipart, OpenUpload, Part
from octo_worker.sinks.parts import MAX_PARTS
from octo_worker.sinks.retries import Halt

PARTS_IN_FLIGHT = 2
ABORT_SECONDS = 10.0
_SETTLE_SECONDS = 5.0
"""Of these, at most so many for parts that are on their way."""

_SWEEP_SECONDS = 5.0

log = logging.getLogger(__name__)


class Known:
    """The uploads that this process has open."""

    def __init__(self) -> None:
        self._uploads: set[OpenUpload] = set()
        self._lock = threading.Lock()

    def add(self, upload: OpenUpload) -> None:
        """It was started here."""
        with self._lock:
            self._uploads.add(upload)

    def discard(self, upload: OpenUpload) -> None:
        """It has ended."""
        with self._lock:
            self._uploads.discard(upload)

    def __contains__(self, upload: OpenUpload) -> bool:
        with self._lock:
            return upload in self._uploads


@dataclass(frozen=True, slots=True)
class Shared:
    """What all uploads of a sink share."""

    wire: Multipart
    bucket: str
    pool: Executor
    room: MemoryBudget
    """For parts on their way beyond the one that every upload may always have."""
    stop: threading.Event
    written_by: Callable[[str], str | None]
    """The mark of the object under a key as `WRITE_MARK` tells it, the empty string without one, None if there is
    no object. Raises ``Failed``."""
    delete: Callable[[str], None]
    known: Known = field(default_factory=Known)


class _Sent(NamedTuple):
    future: Future[Part]
    reserved: int


class Upload:
    """Used by one thread. Ends by `complete` or by `abort`, which may be called after anything."""

    def __init__(self, shared: Shared, key: str, mark: str, metadata: Mapping[str, str], *, overwrite: bool) -> None:
        self._shared = shared
        self._key = key
        self._mark = mark
        self._metadata = metadata
        self._overwrite = overwrite
        self._given_up = threading.Event()
        self._halt = Halt(self._given_up, shared.stop)
        self._open: OpenUpload | None = None
        self._lost_one = False
        self._sent: deque[_Sent] = deque()
        self._count = 0
        self._parts: list[Part] = []

    @property
    def parts(self) -> int:
        """How many parts were sent so far."""
        return self._count

    def send(self, pieces: list[bytes], size: int) -> None:
        """Send the next part in the background; waits while too much is on its way. Raises what parts before met.

        The list is emptied when its bytes have arrived.
        """
        if self._count == MAX_PARTS:
            raise Failed(Category.UNPACK_LIMIT, f"the object is larger than S3 takes: more than {MAX_PARTS} parts")
        while self._sent and self._sent[0].future.done():
            self._collect()
        reserved = 0
        while self._sent:
            if len(self._sent) < PARTS_IN_FLIGHT and self._shared.room.take(size):
                reserved = size
                break
            self._collect()
        try:
            upload_id = self._started().upload_id
            self._count += 1
            future = self._shared.pool.submit(self._uploaded, upload_id, self._count, pieces)
        except BaseException:
            self._shared.room.give_back(reserved)
            raise
        self._sent.append(_Sent(future, reserved))

    def complete(self) -> bool:
        """Make the object visible, in place of none or, to overwrite, of any. False if the key was taken."""
        while self._sent:
            self._collect()
        if self._shared.stop.is_set():
            raise Failed(Category.CANCELLED, "the run was told to stop")
        upload = self._started()
        try:
            self._shared.wire.complete(
                self._key, upload.upload_id, self._parts, overwrite=self._overwrite, halt=self._halt
            )
        except DamagedObjectError as error:
            self._end()
            self._shared.delete(self._key)
            raise error.failed(f"writing {self._key}", self._shared.bucket) from None
        except S3Error as error:
            return self._resolved(error)
        self._end()
        return True

    def abort(self) -> None:
        """Leave nothing behind, in bounded time. Raises nothing but what ends the process."""
        self._given_up.set()
        deadline = time.monotonic() + ABORT_SECONDS
        upload = self._open
        for sent in self._sent:
            sent.future.cancel()
        # The server may keep an upload that is aborted while a part of it is on its way.
        wait([sent.future for sent in self._sent], timeout=_SETTLE_SECONDS)
        if upload is not None and not self._forgotten(upload, deadline):
            log.warning("a multipart upload may be left open; the next attempt aborts it", extra={"key": self._key})
        if self._lost_one:
            self._sweep()
        for sent in self._sent:
            self._shared.room.give_back(sent.reserved)
        self._sent.clear()
        self._end()

    def _forgotten(self, upload: OpenUpload, deadline: float) -> bool:
        """Abort until the server knows the upload no more."""
        pause = 0.1
        while True:
            try:
                self._shared.wire.abort(*upload)
            except S3Error as error:
                if not error.retryable and error.code != "NoSuchUpload":
                    log.warning("aborting a multipart upload: %s", error, extra={"key": self._key})
                    return False
            except Failed:
                return False
            busy = any(not sent.future.done() for sent in self._sent)
            try:
                if self._shared.wire.gone(*upload) and not busy:
                    return True
            except S3Error as error:
                if error.refused and not busy:
                    return True
            except Failed:
                return False
            if time.monotonic() + pause > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _started(self) -> OpenUpload:
        if self._open is None:
            try:
                upload_id, self._lost_one = self._shared.wire.create(self._key, self._metadata, self._halt)
            except S3Error as error:
                self._lost_one = error.unclear
                raise self._verdict(error) from None
            self._open = OpenUpload(self._key, upload_id)
            self._shared.known.add(self._open)
            if self._lost_one:
                self._lost_one = False
                self._sweep()
        return self._open

    def _sweep(self) -> None:
        """Abort an upload that the server may have started without our learning its id.

        That is any of the key which this process does not know, so it would end one of another run that writes
        the same key at this moment; only one run of a provider is active unless that is overridden, and the
        other's file would be tried again.
        """
        try:
            # Not tried again once the writer is given up.
            for upload in self._shared.wire.uploads(self._key, self._halt, seconds=_SWEEP_SECONDS):
                if upload.key == self._key and upload not in self._shared.known:
                    self._shared.wire.abort(*upload)
        except (S3Error, Failed) as error:
            log.warning("looking for a lost multipart upload: %s", error, extra={"key": self._key})

    def _uploaded(self, upload_id: str, number: int, pieces: list[bytes]) -> Part:
        try:
            return self._shared.wire.upload_part(self._key, upload_id, number, pieces, self._halt)
        finally:
            # Whoever still refers to the request, such as a traceback, keeps no bytes alive.
            pieces.clear()

    def _collect(self) -> None:
        sent = self._sent.popleft()
        try:
            self._parts.append(sent.future.result())
        except S3Error as error:
            self._given_up.set()
            raise self._verdict(error) from None
        except CancelledError:
            raise Failed(Category.CANCELLED, "the run was told to stop") from None
        except Failed:
            self._given_up.set()
            raise
        finally:
            if not sent.future.done():  # interrupted while it waited: `abort` will see to it
                self._sent.appendleft(sent)
            else:
                self._shared.room.give_back(sent.reserved)

    def _resolved(self, error: S3Error) -> bool:
        """What became of a completion that ended in an error, maybe after a try whose answer was lost."""
        taken = error.status == 412 or error.code == "PreconditionFailed"
        if taken and not error.unclear:
            return False
        gone = error.code == "NoSuchUpload"
        if not taken and not gone and not error.unclear:
            raise self._verdict(error)
        mark = self._shared.written_by(self._key)
        if mark != self._mark and not taken and not gone:
            # It may still be at work on it. An upload that is gone is either aborted or complete.
            self.abort()
            mark = self._shared.written_by(self._key)
        if mark == self._mark:
            self._end()
            return True
        if taken or (gone and mark is not None and not self._overwrite):
            return False
        raise self._verdict(error)

    def _verdict(self, error: S3Error) -> Failed:
        if self._shared.stop.is_set():
            return Failed(Category.CANCELLED, "the run was told to stop")
        return error.failed(f"writing {self._key}", self._shared.bucket)

    def _end(self) -> None:
        if self._open is not None:
            self._shared.known.discard(self._open)
            self._open = None
