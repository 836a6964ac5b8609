"""Whole objects: written by one request, looked up, read, listed, tagged and deleted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.sax.saxutils import escape

from octo_core.domain.provider import ServerSideEncryption
from octo_worker.sinks.errors import S3Error, parsed, raw_text, text_of
from octo_worker.sinks.retries import Halt, Patience
from octo_worker.sinks.wire import Answer, Body, Wire

XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"
META = "x-amz-meta-"
_PAGE = 1000


class ObjectEntry(NamedTuple):
    """An object as a listing tells it."""

    key: str
    size: int
    modified_at: datetime


class Head(NamedTuple):
    """What is known of an object without reading it."""

    size: int
    metadata: dict[str, str]


class Objects:
    """The objects of one bucket; thread-safe. Failures are ``S3Error``, after all tries."""

    def __init__(self, wire: Wire, encryption: Mapping[str, str], patience: Patience) -> None:
        self._wire = wire
        self._encryption = encryption
        self._patience = patience

    def put(
        self,
        key: str,
        pieces: Sequence[bytes],
        size: int,
        metadata: Mapping[str, str],
        *,
        overwrite: bool,
        halt: Halt,
    ) -> None:
        """Write an object, whose bytes are signed and compared. Status 412 if the key is taken.

        An error with `unclear` set leaves open whether it was written, maybe by a try before.
        """
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        headers = {
            **self._encryption,
            **{f"{META}{name}": value for name, value in metadata.items()},
            # The store keeps it with the object.
            "x-amz-checksum-sha256": base64.b64encode(digest.digest()).decode(),
        }
        if not overwrite:
            headers["if-none-match"] = "*"
        body = Body(pieces, size, digest.hexdigest(), halt)
        self._patience.run(lambda: self._wire.ask("PUT", key, {}, headers, body), halt)

    def head(self, key: str, halt: Halt) -> Head:
        """Length and metadata of an object; status 404 if there is none."""
        headers = self._once_more("HEAD", key, {}, halt).headers
        metadata = {
            name.lower().removeprefix(META): value for name, value in headers.items() if name.lower().startswith(META)
        }
        return Head(int(headers.get("content-length", "-1")), metadata)

    def read(self, key: str, halt: Halt) -> Iterator[bytes]:
        """An object's bytes. When the connection breaks, it is read on from there, if it is still the same."""
        start, headers, failures = 0, dict[str, str](), 0

        def once() -> tuple[Answer, Iterator[bytes]]:
            return self._wire.read(key, headers)

        while True:
            answer, pieces = self._patience.run(once, halt)
            if start and "content-range" not in answer.headers:
                pieces = _without(pieces, start)
            try:
                for piece in pieces:
                    yield piece
                    start, failures = start + len(piece), 0
            except S3Error as error:
                failures += 1
                etag = answer.headers.get("etag")
                if etag is None or failures >= self._patience.tries or halt.is_set():
                    raise
                headers = {"range": f"bytes={start}-", "if-match": etag}
                if halt.wait(self._patience.delay(failures, 1.0)):
                    raise error from None
            else:
                return

    def delete(self, key: str, halt: Halt) -> None:
        """Take an object away, if it is there."""
        self._once_more("DELETE", key, {}, halt)

    def listed(self, prefix: str, halt: Halt, page: int = _PAGE) -> Iterator[ObjectEntry]:
        """All objects of keys that start so, in the order of keys; a page at a time."""
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(page), "prefix": prefix}
        while True:
            root = parsed(self._once_more("GET", "", query, halt).body)
            if root is None:
                raise S3Error(None, "", "the store listed objects as something else than XML")
            encoded = text_of(root, "EncodingType") == "url"
            for element in root.iter("Contents"):
                key = raw_text(element, "Key")
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
        body = f'<Tagging xmlns="{XMLNS}"><TagSet>{rows}</TagSet></Tagging>'.encode()
        headers = {"content-type": "application/xml", "content-md5": md5([body])}
        self._patience.run(lambda: self._wire.ask("PUT", key, {"tagging": ""}, headers, body), halt)

    def tags(self, key: str, halt: Halt) -> dict[str, str]:
        """The tags of an object; none if there is no such object."""
        try:
            root = parsed(self._once_more("GET", key, {"tagging": ""}, halt).body)
        except S3Error as error:
            if error.status == 404:
                return {}
            raise
        rows = root.iter("Tag") if root is not None else ()
        return {text_of(row, "Key"): text_of(row, "Value") for row in rows}

    def _once_more(self, method: str, key: str, query: Mapping[str, str], halt: Halt) -> Answer:
        return self._patience.run(lambda: self._wire.ask(method, key, query), halt)


def encryption_headers(encryption: ServerSideEncryption | None) -> dict[str, str]:
    """What asks for an object to be encrypted by the server."""
    if encryption is None:
        return {}
    headers = {"x-amz-server-side-encryption": encryption.algorithm.value}
    if encryption.kms_key_id:
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = encryption.kms_key_id
    if encryption.bucket_key_enabled:
        headers["x-amz-server-side-encryption-bucket-key-enabled"] = "true"
    return headers


def md5(pieces: Iterable[bytes]) -> str:
    """As Content-MD5 has it."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    return base64.b64encode(digest.digest()).decode()


def _without(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The pieces without that many bytes at their start."""
    for piece in pieces:
        if count < len(piece):
            yield piece[count:]
        count = max(0, count - len(piece))
