"""Writes objects to S3 by obstore: whole or not at all, and never over another unless told to.

An object of up to one part is gathered in memory and put by one request with If-None-Match and its
SHA-256 as metadata. A longer one goes by multipart upload. S3 takes metadata at the start of such an
upload, when its digest is not known yet, so it carries the digest only where the caller knew it
before; the manifest has it always. obstore cannot send If-None-Match with the completion either, so
there the key is looked up right before: two runs that store one key in the same instant may then both
write it, which one active run per provider (the default) rules out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import obstore
from obstore import exceptions as s3
from obstore.store import S3Store

from octo_core.domain.failure import Category
from octo_core.domain.provider import S3Destination
from octo_worker.credentials import Secrets
from octo_worker.failure import Failed, one_line
from octo_worker.stages.verify import Digest

PART = 8 << 20
MAX_PARTS = 10_000
ABORT_SECONDS = 10.0
ERRORS = (s3.BaseError, OSError)
"""What obstore raises; not all of its errors have its own base, `not found` is a FileNotFoundError."""
_ASSUMED_RATIO = 20
"""What a part's size is chosen for; text seldom compresses better, and what does still fits in ten times less."""
_CHUNKS_AHEAD = 16


class _TakenError(Exception):
    """The key holds an object, and overwriting was not asked for."""


class _AbortedError(Exception):
    """Raised inside the body of an upload to make obstore abort it."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """An object in the bucket: its length and what was written with it."""

    size: int
    metadata: Mapping[str, str]


def part_size(source_size: int) -> int:
    """Bytes of a part for an object made of that much source, so that S3's 10,000 parts suffice."""
    return min(max(PART, -(-source_size * _ASSUMED_RATIO // MAX_PARTS)), 64 << 20)


class S3Sink:
    """One bucket."""

    def __init__(self, settings: S3Destination, secrets: Secrets) -> None:
        self._bucket = settings.bucket
        options: dict[str, Any] = {}
        if settings.endpoint:
            options["endpoint"] = settings.endpoint
            if not settings.path_style:
                # For a custom endpoint obstore wants the bucket in it; AWS endpoints it makes itself.
                scheme, _, host = settings.endpoint.partition("://")
                options["endpoint"] = f"{scheme}://{settings.bucket}.{host}"
        access_key = secrets.line("s3", "accessKeyId")
        secret_key = secrets.line("s3", "secretAccessKey")
        if (access_key is None) != (secret_key is None):
            raise Failed(Category.CONFIG, "the S3 Secret must have both accessKeyId and secretAccessKey")
        if access_key is not None and secret_key is not None:
            options |= {"access_key_id": access_key, "secret_access_key": secret_key}
            token = secrets.line("s3", "sessionToken")
            if token:
                options["session_token"] = token
        self._store = S3Store(
            settings.bucket,
            region=settings.region,
            virtual_hosted_style_request=not settings.path_style,
            client_options={
                "allow_http": (settings.endpoint or "").startswith("http://"),
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(seconds=120),
            },
            retry_config={
                "max_retries": 5,
                "retry_timeout": timedelta(seconds=60),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=5),
                    "base": 2,
                },
            },
            **options,
        )

    async def objects(self, prefix: str) -> dict[str, datetime]:
        """All keys below a prefix, which is made of whole path parts, and when each was written."""
        found: dict[str, datetime] = {}
        try:
            async for batch in obstore.list(self._store, prefix=prefix or None, chunk_size=1000):
                found.update((item["path"], item["last_modified"]) for item in batch)
        except ERRORS as error:
            raise self._translated(error, "listing the bucket") from error
        return found

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """An object's content in pieces."""
        try:
            result = await obstore.get_async(self._store, key)
            async for piece in result.stream(min_chunk_size=1 << 20):
                yield bytes(piece)
        except ERRORS as error:
            raise self._translated(error, f"reading {key}") from error

    async def facts(self, key: str) -> ObjectFacts | None:
        """What is known of an object without reading it; None if there is none."""
        try:
            result = await obstore.get_async(self._store, key, options={"head": True})
        except FileNotFoundError:
            return None
        except ERRORS as error:
            raise self._translated(error, f"looking up {key}") from error
        return ObjectFacts(result.meta["size"], {str(name): str(value) for name, value in result.attributes.items()})

    async def put(self, key: str, data: bytes, metadata: Mapping[str, str], *, overwrite: bool) -> bool:
        """Write a small object. False if the key was taken and stays as it is."""
        try:
            await obstore.put_async(
                self._store,
                key,
                data,
                attributes=dict(metadata),
                use_multipart=False,
                mode="overwrite" if overwrite else "create",
            )
        except s3.AlreadyExistsError:
            return False
        except ERRORS as error:
            # A server may refuse by closing the connection while the body is still on its way, and a
            # repeated request may find what the first one wrote.
            if not overwrite and isinstance(error, s3.GenericError):
                with suppress(Failed):
                    if await self.facts(key) is not None:
                        return False
            raise self._translated(error, f"writing {key}") from error
        return True

    async def put_stream(
        self,
        key: str,
        stream: AsyncIterator[bytes],
        digest: Digest,
        metadata: Mapping[str, str],
        late_metadata: Callable[[], Mapping[str, str]],
        *,
        overwrite: bool,
        source_size: int,
    ) -> bool:
        """Write what the stream gives, once it has ended well. False if the key was taken and stays as it is.

        ``digest`` is filled on the way, also when the key is taken. ``late_metadata`` is asked when the
        stream has ended, and stands only with an object of one part.
        """
        head: list[bytes] = []
        async for chunk in stream:
            digest.add(chunk)
            head.append(chunk)
            if digest.size > PART:
                return await self._multipart(
                    key, head, stream, digest, metadata, overwrite=overwrite, part=part_size(source_size)
                )
        return await self.put(key, b"".join(head), {**metadata, **late_metadata()}, overwrite=overwrite)

    async def _multipart(
        self,
        key: str,
        head: list[bytes],
        stream: AsyncIterator[bytes],
        digest: Digest,
        metadata: Mapping[str, str],
        *,
        overwrite: bool,
        part: int,
    ) -> bool:
        # obstore aborts an upload whose body raises, but leaves it open when its future is cancelled. So the
        # body is fed by a queue, and whatever ends this call early is turned into an error of the body.
        # One part at a time, see _body; the queue is what keeps the stages before busy meanwhile.
        queue: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(_CHUNKS_AHEAD)
        upload = asyncio.ensure_future(
            obstore.put_async(
                self._store,
                key,
                _body(queue),
                attributes=dict(metadata),
                use_multipart=True,
                chunk_size=part,
                max_concurrency=1,
            )
        )
        try:
            while head:
                await _offer(queue, upload, head.pop(0))
            async for chunk in stream:
                digest.add(chunk)
                if digest.size > part * MAX_PARTS:
                    raise Failed(Category.UNPACK_LIMIT, f"the object needs more than {MAX_PARTS} parts of {part} bytes")
                await _offer(queue, upload, chunk)
            if not overwrite and await self.facts(key) is not None:
                raise _TakenError
            await _offer(queue, upload, None)
            await asyncio.shield(upload)
        except BaseException as error:
            await _abort(queue, upload)
            if isinstance(error, _TakenError):
                return False
            if isinstance(error, ERRORS):
                raise self._translated(error, f"writing {key}") from error
            raise
        return True

    def _translated(self, error: Exception, doing: str) -> Failed:
        text = f"{doing}: {one_line(error)}"
        refused = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "XAdminUserNotFound")
        if isinstance(error, (s3.PermissionDeniedError, s3.UnauthenticatedError)) or any(
            code in str(error) for code in refused
        ):
            return Failed(Category.AUTH, text)
        if "NoSuchBucket" in str(error):
            return Failed(Category.CONFIG, f"there is no bucket {self._bucket}")
        return Failed(Category.SINK_UNAVAILABLE, text)


async def _body(queue: asyncio.Queue[bytes | BaseException | None]) -> AsyncIterator[bytes]:
    while (item := await queue.get()) is not None:
        if isinstance(item, BaseException):
            # S3 may keep an upload that is aborted while a part of it is still on its way. With one part
            # at a time obstore finishes that part before it takes more bytes: the first of these may fill
            # a part, and when the second is taken that one is done as well. Neither is ever committed.
            yield b"\0"
            yield b"\0"
            raise item
        yield item


async def _offer(
    queue: asyncio.Queue[bytes | BaseException | None], upload: asyncio.Future[Any], item: bytes | None
) -> None:
    """Put an item into the queue, unless the upload ends first, as then nobody takes it out."""
    if upload.done():
        upload.result()
    if not queue.full():
        queue.put_nowait(item)
        return
    putting = asyncio.ensure_future(queue.put(item))
    waiting: Iterable[asyncio.Future[Any]] = (putting, upload)
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not putting.done():
            putting.cancel()
    if upload.done():
        upload.result()


async def _abort(queue: asyncio.Queue[bytes | BaseException | None], upload: asyncio.Future[Any]) -> None:
    """See the upload to its end: aborted, or complete if its last byte was already given."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(_AbortedError())
    with suppress(Exception):
        async with asyncio.timeout(ABORT_SECONDS):
            await asyncio.shield(upload)
