"""Multipart uploads, step by step.

A completion carries If-None-Match, each part and the whole object carry a CRC-32 that the server
compares, and uploads that others left can be found and aborted. The body of a part is not signed, its
checksum is.

A server that knows no checksums answers none for a part. Then parts are sent with Content-MD5 instead,
which S3 has known and checked from its beginning, and the length of the finished object is looked up.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from isal.isal_zlib import crc32, crc32_combine

from octo_worker.sinks.errors import S3Error, from_answer, parsed, raw_text, text_of
from octo_worker.sinks.objects import XMLNS, Objects, md5
from octo_worker.sinks.retries import Halt, Patience
from octo_worker.sinks.signing import UNSIGNED
from octo_worker.sinks.wire import Answer, Body, Wire

_COMPLETE_SECONDS = 300.0
"""A server may take long to put a large object together, and say nothing meanwhile."""
_ABORT_IO_SECONDS = 3.0
"""An abort is the last thing that is done with an object, often while the run is being stopped."""
_PAGE = 1000

log = logging.getLogger(__name__)


class Part(NamedTuple):
    """A part that the server has."""

    number: int
    size: int
    etag: str
    crc: int


class OpenUpload(NamedTuple):
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str


class DamagedObjectError(S3Error):
    """A completed object is visible, and is not what was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(200, "BadDigest", message)


class Multipart:
    """The uploads of one bucket; thread-safe. Failures are ``S3Error``, after all tries."""

    def __init__(self, wire: Wire, objects: Objects, encryption: Mapping[str, str], patience: Patience) -> None:
        self._wire = wire
        self._objects = objects
        self._encryption = encryption
        self._patience = patience
        self._by_md5 = False

    def create(self, key: str, metadata: Mapping[str, str], halt: Halt) -> tuple[str, bool]:
        """Start an upload: its id, and whether a try before it may have started another that nobody knows."""
        headers = {
            # Explicit, as a server may otherwise not keep the parts' checksums.
            "x-amz-checksum-algorithm": "CRC32",
            "x-amz-checksum-type": "FULL_OBJECT",
            **self._encryption,
            **{f"x-amz-meta-{name}": value for name, value in metadata.items()},
        }
        unclear = False

        def once() -> str:
            nonlocal unclear
            try:
                answer = self._wire.ask("POST", key, {"uploads": ""}, headers)
            except S3Error as error:
                unclear = unclear or error.unclear
                raise
            upload_id = text_of(parsed(answer.body), "UploadId")
            if not upload_id:
                raise S3Error(None, "", "the store answered a multipart upload without its id")
            return upload_id

        return self._patience.run(once, halt), unclear

    def upload_part(self, key: str, upload_id: str, number: int, pieces: Sequence[bytes], halt: Halt) -> Part:
        """Send a part; the server has compared its checksum."""
        size, crc = 0, 0
        for piece in pieces:
            size += len(piece)
            crc = crc32(piece, crc)
        query = {"partNumber": str(number), "uploadId": upload_id}
        checksum = _base64(crc)

        body = Body(pieces, size, UNSIGNED, halt)

        def sent(*, by_md5: bool) -> Mapping[str, str]:
            headers = {"x-amz-checksum-crc32": checksum}
            if by_md5:
                headers["content-md5"] = md5(pieces)
            return self._wire.ask("PUT", key, query, headers, body).headers

        def once() -> Part:
            by_md5 = self._by_md5
            told = sent(by_md5=by_md5)
            compared = told.get("x-amz-checksum-crc32")
            if compared is None and not by_md5:
                if not self._by_md5:
                    log.warning("the store knows no checksums; parts are sent with Content-MD5 instead")
                self._by_md5 = True
                told = sent(by_md5=True)
            if compared is not None and compared != checksum:
                raise S3Error(400, "BadDigest", "the store has another checksum for a part than was sent")
            if not told.get("etag"):
                raise S3Error(None, "", "the store answered a part without its ETag")
            return Part(number, size, told["etag"], crc)

        return self._patience.run(once, halt)

    def complete(self, key: str, upload_id: str, parts: Sequence[Part], *, overwrite: bool, halt: Halt) -> None:
        """Make the object of its parts visible.

        An error with `unclear` set leaves open whether that happened, and so does NoSuchUpload after one.
        """
        size, crc = _whole(parts)
        # A server without checksums passes over those.
        document = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(part.etag)}</ETag>"
            f"<ChecksumCRC32>{_base64(part.crc)}</ChecksumCRC32></Part>"
            for part in parts
        )
        body = f'<CompleteMultipartUpload xmlns="{XMLNS}">{document}</CompleteMultipartUpload>'.encode()
        headers = {
            "content-type": "application/xml",
            "x-amz-mp-object-size": str(size),
            "x-amz-checksum-type": "FULL_OBJECT",
            "x-amz-checksum-crc32": _base64(crc),
        }
        if not overwrite:
            headers["if-none-match"] = "*"

        def once() -> Answer:
            try:
                answer = self._wire.ask("POST", key, {"uploadId": upload_id}, headers, body, seconds=_COMPLETE_SECONDS)
            except S3Error as error:
                # The parts are what they are; only a part can be sent again.
                error.retryable = error.retryable and error.code != "BadDigest"
                raise
            root = parsed(answer.body)
            if root is None:
                # Cut off: the status came before the work was done.
                raise S3Error(None, "", "the store answered a completion with something else than XML")
            if root.tag == "Error":
                told = from_answer(200, answer.body)
                told.unclear = True
                raise told
            return answer

        answer = self._patience.run(once, halt)
        kept = text_of(parsed(answer.body), "ChecksumCRC32") or answer.headers.get("x-amz-checksum-crc32", "")
        if kept and kept not in (_base64(crc), _composite(parts)):
            raise DamagedObjectError("the store has another checksum for the object than its bytes have")
        if not kept:
            found = self._objects.head(key, halt).size
            if found != size:
                raise DamagedObjectError(f"the store has {found} bytes of an object of {size}")

    def abort(self, key: str, upload_id: str) -> None:
        """Tell the server to forget an upload; one try."""
        self._wire.ask("DELETE", key, {"uploadId": upload_id}, seconds=_ABORT_IO_SECONDS)

    def gone(self, key: str, upload_id: str) -> bool:
        """Whether the server knows the upload no more; one try."""
        try:
            self._wire.ask("GET", key, {"uploadId": upload_id, "max-parts": "1"}, seconds=_ABORT_IO_SECONDS)
        except S3Error as error:
            if error.code == "NoSuchUpload" or error.status == 404:
                return True
            raise
        return False

    def uploads(
        self, prefix: str, halt: Halt, *, page: int = _PAGE, seconds: float | None = None
    ) -> Iterator[OpenUpload]:
        """All open uploads of keys that start so."""
        query = {"uploads": "", "encoding-type": "url", "max-uploads": str(page), "prefix": prefix}

        def once() -> bytes:
            return self._wire.ask("GET", "", query, seconds=seconds).body

        while True:
            try:
                body = self._patience.run(once, halt)
            except S3Error as error:
                if error.code != "InvalidArgument" or "upload-id-marker" not in query:
                    raise
                # versitygw refuses the marker that it gave. Without, it goes on after the last key; of that
                # one some may be left out.
                del query["upload-id-marker"]
                continue
            root = parsed(body)
            if root is None:
                raise S3Error(None, "", "the store listed uploads as something else than XML")
            # Not every server encodes keys when asked to; those that do say so.
            encoded = text_of(root, "EncodingType") == "url"
            for element in root.iter("Upload"):
                key = raw_text(element, "Key")
                yield OpenUpload(unquote_plus(key) if encoded else key, text_of(element, "UploadId"))
            after, after_id = raw_text(root, "NextKeyMarker"), text_of(root, "NextUploadIdMarker")
            if text_of(root, "IsTruncated") != "true" or not after:
                return
            query |= {"key-marker": unquote_plus(after) if encoded else after, "upload-id-marker": after_id}


def _whole(parts: Iterable[Part]) -> tuple[int, int]:
    """Length and CRC-32 of what the parts make together."""
    size, crc = 0, 0
    for part in parts:
        crc = crc32_combine(crc, part.crc, part.size)
        size += part.size
    return size, crc


def _composite(parts: Sequence[Part]) -> str:
    """What a server tells that has checksums of multipart objects only as one of its parts' checksums."""
    return f"{_base64(crc32(b''.join(part.crc.to_bytes(4, 'big') for part in parts)))}-{len(parts)}"


def _base64(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
