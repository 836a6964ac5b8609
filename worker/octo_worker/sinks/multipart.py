"""The calls of S3 that obstore does not make: multipart uploads step by step, object tags, and a listing that
does not break off at a key that obstore would not make itself, such as one with an empty part.

A completion carries If-None-Match, each part and the whole object carry a CRC-32 that the server
compares, and uploads that others left can be found and aborted. Requests go over httpx, signed by the
AWS Common Runtime. The body of a part is not signed, its checksum is.

A server that knows no checksums answers none for a part. Then parts are sent with Content-MD5 instead,
which S3 has known and checked from its beginning, and the length of the finished object is looked up.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_plus
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx
from awscrt import auth
from awscrt import http as crt_http
from isal.isal_zlib import crc32, crc32_combine

from octo_core.domain.provider import S3Destination, ServerSideEncryption
from octo_worker.sinks.address import Address
from octo_worker.sinks.errors import S3Error, from_answer, parsed, text_of
from octo_worker.sinks.identity import KeySource
from octo_worker.sinks.retries import Halt, Patience
from octo_worker.sinks.tls import trust

UNSIGNED = "UNSIGNED-PAYLOAD"
_CONNECT_SECONDS = 5.0
_IO_SECONDS = 30.0
_COMPLETE_SECONDS = 300.0
"""A server may take long to put a large object together, and say nothing meanwhile."""
_ABORT_IO_SECONDS = 3.0
"""An abort is the last thing that is done with an object, often while the run is being stopped."""
_SEND_BYTES = 256 << 10
_PAGE = 1000
_KEPT_ALIVE = 16
_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"

log = logging.getLogger(__name__)


class Part(NamedTuple):
    """A part that the server has."""

    number: int
    size: int
    etag: str
    crc: int


class ObjectEntry(NamedTuple):
    """An object as a listing tells it."""

    key: str
    size: int
    modified_at: datetime


class OpenUpload(NamedTuple):
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str


class DamagedObjectError(S3Error):
    """A completed object is visible, and is not what was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(200, "BadDigest", message)


class _HaltedError(Exception):
    """The body of a request ended early, as work is to end."""


@dataclass(frozen=True, slots=True)
class _Answer:
    headers: httpx.Headers
    body: bytes


class Multipart:
    """Speaks to one bucket; thread-safe. Failures are ``S3Error``, after all tries."""

    def __init__(self, settings: S3Destination, address: Address, keys: KeySource, patience: Patience) -> None:
        self._address = address
        self._region = settings.region
        self._keys = keys
        self._patience = patience
        self._encryption = _encryption_headers(settings.server_side_encryption)
        self._client = httpx.Client(
            verify=trust(address.origin),
            timeout=httpx.Timeout(_IO_SECONDS, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT_ALIVE),
            headers={"user-agent": "octo-worker", "accept-encoding": "identity"},
        )
        self._by_md5 = False

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

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
                answer = self._asked("POST", key, {"uploads": ""}, headers)
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

        def sent(*, by_md5: bool) -> httpx.Headers:
            headers = {"content-length": str(size), "x-amz-checksum-crc32": checksum}
            if by_md5:
                headers["content-md5"] = _md5(pieces)
            return self._asked("PUT", key, query, headers, _grouped(pieces, halt)).headers

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
        body = f'<CompleteMultipartUpload xmlns="{_XMLNS}">{document}</CompleteMultipartUpload>'.encode()
        headers = {
            "content-type": "application/xml",
            "x-amz-mp-object-size": str(size),
            "x-amz-checksum-type": "FULL_OBJECT",
            "x-amz-checksum-crc32": _base64(crc),
        }
        if not overwrite:
            headers["if-none-match"] = "*"

        def once() -> _Answer:
            try:
                answer = self._asked("POST", key, {"uploadId": upload_id}, headers, body, seconds=_COMPLETE_SECONDS)
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
            found = int(self._once_more(halt, "HEAD", key, {}).headers.get("content-length", "-1"))
            if found != size:
                raise DamagedObjectError(f"the store has {found} bytes of an object of {size}")

    def delete(self, key: str, halt: Halt) -> None:
        """Take an object away, if it is there."""
        self._once_more(halt, "DELETE", key, {})

    def abort(self, key: str, upload_id: str) -> None:
        """Tell the server to forget an upload; one try."""
        self._asked("DELETE", key, {"uploadId": upload_id}, seconds=_ABORT_IO_SECONDS)

    def gone(self, key: str, upload_id: str) -> bool:
        """Whether the server knows the upload no more; one try."""
        try:
            self._asked("GET", key, {"uploadId": upload_id, "max-parts": "1"}, seconds=_ABORT_IO_SECONDS)
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
        while True:
            try:
                body = self._once_more(halt, "GET", "", query, seconds=seconds).body
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
                key = _raw_text(element, "Key")
                yield OpenUpload(unquote_plus(key) if encoded else key, text_of(element, "UploadId"))
            after, after_id = _raw_text(root, "NextKeyMarker"), text_of(root, "NextUploadIdMarker")
            if text_of(root, "IsTruncated") != "true" or not after:
                return
            query |= {"key-marker": unquote_plus(after) if encoded else after, "upload-id-marker": after_id}

    def objects(self, prefix: str, halt: Halt, page: int = _PAGE) -> Iterator[ObjectEntry]:
        """All objects of keys that start so, in the order of keys; a page at a time."""
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(page), "prefix": prefix}
        while True:
            root = parsed(self._once_more(halt, "GET", "", query).body)
            if root is None:
                raise S3Error(None, "", "the store listed objects as something else than XML")
            encoded = text_of(root, "EncodingType") == "url"
            for element in root.iter("Contents"):
                key = _raw_text(element, "Key")
                yield ObjectEntry(
                    unquote_plus(key) if encoded else key,
                    int(text_of(element, "Size") or 0),
                    datetime.fromisoformat(text_of(element, "LastModified").replace("Z", "+00:00")),
                )
            after = text_of(root, "NextContinuationToken")
            if text_of(root, "IsTruncated") != "true" or not after:
                return
            query["continuation-token"] = after

    def tag(self, key: str, tags: Mapping[str, str], halt: Halt) -> None:
        """Replace the tags of an object."""
        rows = "".join(f"<Tag><Key>{escape(k)}</Key><Value>{escape(v)}</Value></Tag>" for k, v in tags.items())
        body = f'<Tagging xmlns="{_XMLNS}"><TagSet>{rows}</TagSet></Tagging>'.encode()
        headers = {"content-type": "application/xml", "content-md5": _md5([body])}
        self._once_more(halt, "PUT", key, {"tagging": ""}, headers, body)

    def tags(self, key: str, halt: Halt) -> dict[str, str]:
        """The tags of an object; none if there is no such object."""
        try:
            root = parsed(self._once_more(halt, "GET", key, {"tagging": ""}).body)
        except S3Error as error:
            if error.status == 404:
                return {}
            raise
        rows = root.iter("Tag") if root is not None else ()
        return {text_of(row, "Key"): text_of(row, "Value") for row in rows}

    def _once_more(self, halt: Halt, *request: Any, seconds: float | None = None) -> _Answer:
        return self._patience.run(lambda: self._asked(*request, seconds=seconds), halt)

    def _asked(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] = b"",
        *,
        seconds: float | None = None,
    ) -> _Answer:
        """One request and its answer."""
        target = self._address.target(key, query)
        payload = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else UNSIGNED
        request = self._client.build_request(
            method,
            f"{self._address.origin}{target}",
            headers=self._signed(method, target, headers or {}, payload),
            content=content,
            timeout=httpx.Timeout(_IO_SECONDS, connect=_CONNECT_SECONDS, read=seconds or _IO_SECONDS, pool=None),
        )
        if request.url.raw_path.decode() != target:
            # A path that httpx writes otherwise than it was signed, as one with `..`.
            raise S3Error(400, "", f"{key!r} cannot be the key of an object")
        try:
            answer = self._client.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise S3Error(None, "", f"cannot reach {self._address.host}: {_why(error)}", sent=False) from None
        except httpx.TransportError as error:
            raise S3Error(None, "", f"no answer from {self._address.host}: {_why(error)}") from None
        except _HaltedError:
            raise S3Error(None, "", "told to stop") from None
        if not answer.is_success:
            raise from_answer(answer.status_code, answer.content)
        return _Answer(answer.headers, answer.content)

    def _signed(self, method: str, target: str, headers: Mapping[str, str], payload: str) -> list[tuple[str, str]]:
        keys = self._keys()
        request = crt_http.HttpRequest(
            method, target, crt_http.HttpHeaders([("host", self._address.host), *headers.items()])
        )
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=auth.AwsCredentialsProvider.new_static(
                keys.access_key_id, keys.secret_access_key, keys.session_token
            ),
            region=self._region,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=payload,
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        auth.aws_sign_request(request, config).result(_IO_SECONDS)
        return [(str(name), str(value)) for name, value in request.headers]


def _encryption_headers(encryption: ServerSideEncryption | None) -> dict[str, str]:
    if encryption is None:
        return {}
    headers = {"x-amz-server-side-encryption": encryption.algorithm.value}
    if encryption.kms_key_id:
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = encryption.kms_key_id
    if encryption.bucket_key_enabled:
        headers["x-amz-server-side-encryption-bucket-key-enabled"] = "true"
    return headers


def _grouped(pieces: Sequence[bytes], halt: Halt) -> Iterator[bytes]:
    """The body of a part for httpx, which costs some CPU per piece and copies what a socket leaves of a long one."""
    group: list[bytes] = []
    size = 0
    for piece in pieces:
        if halt.is_set():
            raise _HaltedError
        group.append(piece)
        size += len(piece)
        if size >= _SEND_BYTES:
            yield b"".join(group) if len(group) > 1 else piece
            group, size = [], 0
    if group:
        yield b"".join(group)


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


def _md5(pieces: Iterable[bytes]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return base64.b64encode(digest.digest()).decode()


def _raw_text(element: ElementTree.Element, name: str) -> str:
    """As it is: a key may begin or end with a space."""
    return element.findtext(name) or ""


def _why(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
