"""Tries a bucket with an object of its own, which is deleted again. Each step blocks, and says what it saw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice

from octo_core.domain.failure import Category
from octo_core.domain.provider import S3Destination
from octo_worker.failure import Failed
from octo_worker.sinks.s3 import S3Sink

LISTED = 1000
"""Objects that are looked at; enough to see that listing works."""
# Larger than one part, so that the store is asked for a multipart upload.
_CHUNK, _CHUNKS = b"\0" * (1 << 20), 9


class BucketProbe:
    """The steps, to be taken in this order. A step that fails raises ``Failed``."""

    def __init__(self, sink: S3Sink, settings: S3Destination, token: str) -> None:
        self._sink = sink
        self._bucket = settings.bucket
        self._prefix = settings.prefix
        self._key = "/".join(filter(None, (self._prefix, f".octo-verify-{token}")))
        self._data = f"octo-worker verify {token}\n".encode()
        self._written = False

    def list(self) -> str:
        """Look for objects below the prefix."""
        with self._needs("s3:ListBucket", on=f"the bucket {self._bucket}"):
            count = sum(1 for _ in islice(self._sink.objects(self._prefix), LISTED))
        more = " or more" if count == LISTED else ""
        return f"{count}{more} objects below {self._shown(self._prefix)}"

    def put(self) -> str:
        """Write the object."""
        self._written = True  # also if it is cut off here
        with self._needs("s3:PutObject"):
            new = self._sink.put(self._key, self._data, {}, overwrite=False)
        if not new:
            raise Failed(Category.SINK_UNAVAILABLE, f"{self._shown(self._key)} was there before it was written")
        return f"{self._shown(self._key)} written"

    def read(self) -> str:
        """Read it back."""
        with self._needs("s3:GetObject"):
            got = b"".join(self._sink.read(self._key))
        if got != self._data:
            raise Failed(Category.INTEGRITY, f"{self._shown(self._key)} does not hold what was written")
        return "read back, and the same"

    def conditional(self) -> str:
        """Write another object in its place, which must not go."""
        if self._sink.put(self._key, b"another", {}, overwrite=False):
            raise Failed(
                Category.CONFIG,
                "the store at destination.s3.endpoint ignores If-None-Match, so two runs could overwrite each "
                "other's objects; use a version or product that honours it",
            )
        return "a second write with If-None-Match is refused, as it must be"

    def multipart(self) -> str:
        """Begin a multipart upload, and abort it."""
        key = f"{self._key}-multipart"
        with self._needs("s3:PutObject", "s3:AbortMultipartUpload"):
            with self._sink.writer(key, {}, overwrite=False, expected_size=len(_CHUNK) * _CHUNKS) as upload:
                for _ in range(_CHUNKS):
                    upload.write(_CHUNK)
            visible = self._sink.facts(key) is not None
        if visible:
            raise Failed(Category.SINK_UNAVAILABLE, f"{self._shown(key)} is visible, although its upload was aborted")
        return "a multipart upload can be begun and aborted"

    def delete(self) -> str:
        """Take the object away."""
        self._written = False
        try:
            with self._needs("s3:DeleteObject"):
                self._sink.delete(self._key)
        except Failed as error:
            raise Failed(error.category, f"{error.detail}; {self._shown(self._key)} is left: delete it") from error
        return "deleted again"

    def clear(self) -> None:
        """Take away what a step before the last has left."""
        if self._written:
            with suppress(Failed):
                self._sink.delete(self._key)

    @contextmanager
    def _needs(self, *actions: str, on: str = "") -> Iterator[None]:
        """Say of a refusal what would have to be allowed."""
        try:
            yield
        except Failed as error:
            if error.category is not Category.AUTH or "AccessDenied" not in error.detail:
                raise
            place = on or f"{self._shown(self._prefix).rstrip('/')}/*"
            raise Failed(error.category, f"{error.detail}; allow {' and '.join(actions)} on {place}") from error

    def _shown(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"
