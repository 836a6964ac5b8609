"""Writes objects to S3: whole or not at all, and never over another unless told to.

An object of up to one part is gathered in memory and put by one request with If-None-Match. A longer
one goes by multipart upload, see ``upload``; S3 takes metadata at the start of such an upload, so what
is known only at its end (its digests) is put beside it as object tags, and told by `S3Sink.facts` as
if it were metadata.
"""

from __future__ import annotations

import logging
import secrets as randomness
import threading
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from octo_core.domain.failure import Category
from octo_core.domain.provider import S3Destination
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed
from octo_worker.limits import MemoryBudget
from octo_worker.sinks.address import address_of
from octo_worker.sinks.errors import S3Error
from octo_worker.sinks.identity import key_source
from octo_worker.sinks.multipart import Multipart
from octo_worker.sinks.objects import ObjectEntry, Objects, encryption_headers
from octo_worker.sinks.parts import part_size
from octo_worker.sinks.retries import Halt, Patience
from octo_worker.sinks.upload import Shared, Upload
from octo_worker.sinks.wire import Wire

WRITE_MARK = "octo-write"
"""Metadata of a multipart object, and a tag with its late metadata: which upload wrote it. Random, so that a
completion whose answer was lost is told from another writer's, and tags from those of an object before."""
_DIGEST = "sha256"
_THREADS = 16
_ROOM_BYTES = 16 << 20
_SMALL = 32 << 10
_GATHERED = 256 << 10

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """An object in the bucket: its length and what was written with it."""

    size: int
    metadata: Mapping[str, str]


class S3Sink:
    """One bucket. Thread-safe; everything raises ``Failed``. Close it, or use it as a context manager.

    ``stop`` ends waits early, and breaks parts off that are on their way.
    """

    def __init__(
        self,
        settings: S3Destination,
        secrets: Secrets,
        *,
        stop: threading.Event | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._bucket = settings.bucket
        self._stop = stop or threading.Event()
        self._patience = patience or Patience()
        self._halt = Halt(self._stop)
        keys = key_source(secrets, settings.region, halt=self._halt)
        self._wire = Wire(settings, address_of(settings), keys)
        encryption = encryption_headers(settings.server_side_encryption)
        self._objects = Objects(self._wire, encryption, self._patience)
        self._multipart = Multipart(self._wire, self._objects, encryption, self._patience)
        self._pool = ThreadPoolExecutor(_THREADS, "s3-part")
        self._shared = Shared(
            self._multipart,
            self._bucket,
            self._pool,
            MemoryBudget(_ROOM_BYTES),
            self._stop,
            self._written_by,
            self.delete,
        )
        self._refused: set[str] = set()

    def __enter__(self) -> S3Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections. Writers must have ended."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._wire.close()

    def objects(self, prefix: str) -> Iterator[ObjectEntry]:
        """All objects below a prefix, which is made of whole path parts; a page at a time."""
        try:
            yield from self._objects.listed(f"{prefix}/" if prefix else "", self._halt)
        except S3Error as error:
            raise error.failed("listing the bucket", self._bucket) from None

    def facts(self, key: str) -> ObjectFacts | None:
        """What is known of an object without reading it; None if there is none."""
        found = self._looked_up(key)
        if found is None:
            return None
        size, metadata = found
        mark = metadata.pop(WRITE_MARK, None)
        if mark is not None and _DIGEST not in metadata:
            tags = self._tags(key)
            if tags.pop(WRITE_MARK, None) == mark:
                metadata |= tags
        return ObjectFacts(size, metadata)

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in pieces."""
        try:
            yield from self._objects.read(key, self._halt)
        except S3Error as error:
            raise error.failed(f"reading {key}", self._bucket) from None

    def put(self, key: str, data: bytes, metadata: Mapping[str, str], *, overwrite: bool) -> bool:
        """Write a small object. False if the key was taken and stays as it is."""
        _check_key(key)
        return self._put(key, [data] if data else [], len(data), metadata, overwrite=overwrite)

    def writer(self, key: str, metadata: Mapping[str, str], *, overwrite: bool, expected_size: int = 0) -> ObjectWriter:
        """Write an object of unknown length; ``expected_size`` is a guess from its source, 0 for none."""
        _check_key(key)
        return ObjectWriter(self, key, metadata, overwrite=overwrite, expected_size=expected_size)

    def delete(self, key: str) -> None:
        """Take an object away, if it is there."""
        try:
            self._objects.delete(key, self._halt)
        except S3Error as error:
            if error.status != 404 or error.code == "NoSuchBucket":
                raise error.failed(f"deleting {key}", self._bucket) from None

    def abort_stale_uploads(self, keys: Container[str], prefix: str = "") -> int:
        """Abort open multipart uploads of these keys, left by attempts that crashed; how many there were.

        Only those whose key starts with the prefix are looked at, and none of this sink's own. Where the
        account may not list or abort uploads, they stay, and it is logged.
        """
        aborted = 0
        try:
            for upload in self._multipart.uploads(prefix, self._halt):
                if upload.key in keys and upload not in self._shared.known:
                    self._abort(upload.key, upload.upload_id)
                    aborted += 1
        except S3Error as error:
            if not error.refused:
                raise error.failed("aborting uploads of earlier attempts", self._bucket) from None
            log.warning("uploads of earlier attempts cannot be aborted: %s", error)
        return aborted

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self._patience.run(lambda: self._multipart.abort(key, upload_id), self._halt)
        except S3Error as error:
            if error.code != "NoSuchUpload":
                raise

    def _put(
        self, key: str, pieces: Sequence[bytes], size: int, metadata: Mapping[str, str], *, overwrite: bool
    ) -> bool:
        try:
            self._objects.put(key, pieces, size, metadata, overwrite=overwrite, halt=self._halt)
        except S3Error as error:
            if not overwrite and error.unclear and self._is_ours(key, pieces, size, metadata):
                return True
            if not overwrite and error.status == 412:
                return False
            if self._stop.is_set():
                raise Failed(Category.CANCELLED, "the run was told to stop") from None
            raise error.failed(f"writing {key}", self._bucket) from None
        return True

    def _is_ours(self, key: str, pieces: Sequence[bytes], size: int, metadata: Mapping[str, str]) -> bool:
        """Whether the object is what a try wrote whose answer was lost."""
        found = self._looked_up(key)
        if found is None or found != (size, dict(metadata)):
            return False
        return b"".join(self.read(key)) == b"".join(pieces)

    def _looked_up(self, key: str) -> tuple[int, dict[str, str]] | None:
        try:
            found = self._objects.head(key, self._halt)
        except S3Error as error:
            if error.status == 404:
                return None
            raise error.failed(f"looking up {key}", self._bucket) from None
        return found.size, found.metadata

    def _written_by(self, key: str) -> str | None:
        found = self._looked_up(key)
        return None if found is None else found[1].get(WRITE_MARK, "")

    def _tags(self, key: str) -> dict[str, str]:
        if "reading" in self._refused:
            return {}
        try:
            return self._objects.tags(key, self._halt)
        except S3Error as error:
            if not error.refused:
                raise error.failed(f"reading the tags of {key}", self._bucket) from None
            self._refuse("reading", error)
            return {}

    def _tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Best effort: the object is there, and the manifest has its digests."""
        if "writing" in self._refused:
            return
        try:
            self._objects.tag(key, tags, self._halt)
        except S3Error as error:
            if error.refused:
                self._refuse("writing", error)
            else:
                log.warning("an object stays without its digests as tags: %s", error, extra={"key": key})
        except Failed as error:
            log.warning("an object stays without its digests as tags: %s", error.detail, extra={"key": key})

    def _refuse(self, doing: str, error: S3Error) -> None:
        if doing not in self._refused:
            log.warning("the store refuses %s object tags, it is not asked again: %s", doing, error)
        self._refused.add(doing)


class ObjectWriter:
    """One object on its way. It becomes visible by `commit`; leaving without aborts it. Used by one thread."""

    def __init__(
        self, sink: S3Sink, key: str, metadata: Mapping[str, str], *, overwrite: bool, expected_size: int
    ) -> None:
        self._sink = sink
        self._key = key
        self._metadata = metadata
        self._overwrite = overwrite
        self._expected = expected_size
        self._limit = part_size(1, expected_size)
        self._mark = randomness.token_hex(16)
        self._pieces: list[bytes] = []
        self._small = bytearray()
        self._filled = 0
        self._upload: Upload | None = None
        self._ended = False
        self.size = 0
        """Bytes written so far."""

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Waits while the store is slower than they come; raises what parts before met."""
        self._check()
        self.size += len(chunk)
        view = memoryview(chunk)
        while view:
            if self._filled == self._limit:
                self._send()
            piece = view[: self._limit - self._filled]
            view = view[len(piece) :]
            self._filled += len(piece)
            if len(piece) < _SMALL:
                self._small += piece
                if len(self._small) >= _GATHERED:
                    self._gather()
            else:
                self._gather()
                self._pieces.append(chunk if len(piece) == len(chunk) and isinstance(chunk, bytes) else bytes(piece))

    def commit(self, late_metadata: Mapping[str, str] | None = None) -> bool:
        """Make the object visible, with what is known of it only now. False if the key was taken and stays as it is."""
        self._check()
        late = dict(late_metadata or {})
        self._gather()
        pieces, self._pieces = self._pieces, []
        if self._upload is None:
            written = self._sink._put(
                self._key, pieces, self._filled, {**self._metadata, **late}, overwrite=self._overwrite
            )
            self._ended = True
            return written
        self._upload.send(pieces, self._filled)
        del pieces
        written = self._upload.complete()
        if written:
            self._ended = True
            late = {name: value for name, value in late.items() if self._metadata.get(name) != value}
            if late:
                self._sink._tag(self._key, {**late, WRITE_MARK: self._mark})
        else:
            self.close()
        return written

    def close(self) -> None:
        """Abort, unless it was committed. Takes bounded time, and raises nothing."""
        if self._ended:
            return
        self._ended = True
        self._pieces.clear()
        self._small.clear()
        if self._upload is not None:
            with suppress(Failed):
                self._upload.abort()

    def _check(self) -> None:
        if self._ended:
            raise ValueError("the writer has ended")
        if self._sink._stop.is_set():
            raise Failed(Category.CANCELLED, "the run was told to stop")

    def _send(self) -> None:
        """Send what is gathered as the next part."""
        if self._upload is None:
            self._upload = Upload(
                self._sink._shared,
                self._key,
                self._mark,
                {**self._metadata, WRITE_MARK: self._mark},
                overwrite=self._overwrite,
            )
        self._gather()
        pieces, self._pieces = self._pieces, []
        size, self._filled = self._filled, 0
        self._upload.send(pieces, size)
        self._limit = part_size(self._upload.parts + 1, self._expected)

    def _gather(self) -> None:
        if self._small:
            self._pieces.append(bytes(self._small))
            self._small.clear()


def _check_key(key: str) -> None:
    # Clients, proxies and servers may make another key of it, or none.
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise Failed(Category.CONFIG, f"{key!r} cannot be the key of an object")
