"""One signed request to a bucket, and its answer. What S3 calls are made of; nothing is tried again here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from urllib3 import BaseHTTPResponse
from urllib3.util import parse_url

from octo_core.domain.provider import S3Destination
from octo_worker.sinks.address import Address
from octo_worker.sinks.errors import S3Error, from_answer
from octo_worker.sinks.http import ERRORS, Pool, never_sent, why
from octo_worker.sinks.keys import KeySource
from octo_worker.sinks.retries import Halt
from octo_worker.sinks.signing import signed

_IO_SECONDS = 30.0
_SLICE = 256 << 10
"""Bytes between two looks at whether work is to end, and under one timeout."""
_READ_BYTES = 1 << 20


class _HaltedError(Exception):
    """The body of a request ended early, as work is to end."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: pieces that are sent as they are, in memory only once."""

    pieces: Sequence[bytes]
    size: int
    digest: str
    """SHA-256 in hex, which is signed, or ``UNSIGNED`` where a checksum in the headers protects the bytes."""
    halt: Halt

    def sent(self) -> Iterator[memoryview]:
        """The pieces, for one sending."""
        for piece in self.pieces:
            view = memoryview(piece)
            for start in range(0, len(view), _SLICE):
                if self.halt.is_set():
                    raise _HaltedError
                yield view[start : start + _SLICE]


@dataclass(frozen=True, slots=True)
class Answer:
    """A good one."""

    headers: Mapping[str, str]
    """By names in any case."""
    body: bytes


class Wire:
    """Speaks to one bucket; thread-safe. Failures are ``S3Error``, without keys ``Failed``."""

    def __init__(
        self,
        settings: S3Destination,
        address: Address,
        keys: KeySource,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._address = address
        self._region = settings.region
        self._keys = keys
        self._now = now
        self._pool = Pool(address.origin)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def ask(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        content: bytes | Body = b"",
        *,
        seconds: float | None = None,
    ) -> Answer:
        """One request and its answer; for the bucket itself the key is empty."""
        answer = self._answered(method, key, query, headers or {}, content, seconds=seconds, whole=True)
        return Answer(answer.headers, answer.data)

    def read(self, key: str, headers: Mapping[str, str]) -> tuple[Answer, Iterator[bytes]]:
        """An object's headers, and its bytes as they arrive."""
        answer = self._answered("GET", key, {}, headers, b"", seconds=None, whole=False)
        return Answer(answer.headers, b""), self._arriving(answer)

    def _answered(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        content: bytes | Body,
        *,
        seconds: float | None,
        whole: bool,
    ) -> BaseHTTPResponse:
        target = self._address.target(key, query)
        if parse_url(f"{self._address.origin}{target}").request_uri != target:
            # A path that clients, proxies or servers may write otherwise than it was signed, as one with `..`.
            raise S3Error(400, "", f"{key!r} cannot be the key of an object")
        if isinstance(content, Body):
            size, digest = content.size, content.digest
        else:
            size, digest = len(content), hashlib.sha256(content).hexdigest()
        lengthy = {"content-length": str(size)} if size or method in ("PUT", "POST") else {}
        complete = signed(
            method,
            target,
            {"host": self._address.host, **lengthy, **headers},
            digest,
            keys=self._keys(),
            region=self._region,
            at=self._now(),
        )
        complete |= {"user-agent": "octo-worker", "accept-encoding": "identity"}
        body = content.sent() if isinstance(content, Body) else content or None
        try:
            answer = self._pool.ask(method, target, complete, body, seconds=seconds or _IO_SECONDS, whole=whole)
            if not 200 <= answer.status < 300:
                raise from_answer(answer.status, answer.data)
        except ERRORS as error:
            raise self._lost(error) from None
        except _HaltedError:
            raise S3Error(None, "", "told to stop") from None
        except ValueError:
            # Its text quotes a header that cannot be sent, which may be a secret.
            raise S3Error(400, "", "the request holds something that cannot be sent") from None
        return answer

    def _arriving(self, answer: BaseHTTPResponse) -> Iterator[bytes]:
        try:
            while piece := answer.read(_READ_BYTES):
                yield piece
        except ERRORS as error:
            raise self._lost(error) from None
        finally:
            answer.close()

    def _lost(self, error: Exception) -> S3Error:
        if never_sent(error):
            return S3Error(None, "", f"cannot reach {self._address.host}: {why(error)}", sent=False)
        return S3Error(None, "", f"no answer from {self._address.host}: {why(error)}")
