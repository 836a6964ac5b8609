"""Moves one file: download, decrypt, unpack, verify, upload.

A file that is one object streams through. The members of an archive must not become visible before
the end of the archive has been verified, and an archive may have any number of them. So it is read
once without writing anything: members are held in memory as far as the run's budget goes, otherwise
only their digests are. Members that were held are then written; otherwise the archive is read a
second time, and each member is written once its bytes have the digest of the first reading. That
costs a second download of a large archive, and no memory, staging or disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from octo_core.domain.failure import Category
from octo_core.domain.model import rfc3339
from octo_core.domain.report import FileOutcome, FileResult
from octo_core.domain.run import Run
from octo_worker import layout
from octo_worker.failure import ConnectionLostError, Failed, MalformedError
from octo_worker.layout import NameRefusedError, Shape
from octo_worker.limits import EntryMeter, ExpansionMeter, MemoryBudget
from octo_worker.selection import Target
from octo_worker.sinks.s3 import ObjectFacts, S3Sink
from octo_worker.sources import RemoteFile, Source
from octo_worker.stages.archive import TarReader
from octo_worker.stages.decrypt import KeyRing
from octo_worker.stages.inflate import inflate
from octo_worker.stages.verify import Digest, download

TRIES = 3
BACKOFF_SECONDS = (0.5, 2.0)
HELD_BYTES = 64 << 20
"""What all archives of a run together may hold in memory."""
_MAX_PATH_METADATA = 1024
"""S3 takes 2 KiB of metadata in all; a longer path stands in the manifest only."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Verified:
    """A member as the first reading of its archive found it."""

    name: str
    key: str
    size: int
    sha256: str
    held: bytes | None


@dataclass(slots=True)
class Transfers:
    """What all transfers of a run share. ``row`` is called for each finished object."""

    run: Run
    source: Source
    sink: S3Sink
    ring: KeyRing | None
    now: Callable[[], datetime]
    row: Callable[[FileResult], None]
    downloaded: Callable[[int], None]
    claims: dict[str, str] = field(default_factory=dict)
    """Key to path of the file that it belongs to: those planned, and the members seen so far."""
    budget: MemoryBudget = field(default_factory=lambda: MemoryBudget(HELD_BYTES))

    async def move(self, target: Target, *, overwrite: bool) -> None:
        """Store one file, trying again over a new connection when one breaks. Raises ``Failed``."""
        for number in range(1, TRIES + 1):
            try:
                if target.opening.shape.archive:
                    await self._archive(target, overwrite=overwrite)
                else:
                    await self._single(target, overwrite=overwrite)
            except ConnectionLostError as error:
                if number == TRIES:
                    raise
                log.warning("trying again after a lost connection", extra={"path": target.file.path, "why": str(error)})
                await asyncio.sleep(BACKOFF_SECONDS[number - 1])
            except MalformedError as error:
                raise await self._cause(target, error) from error
            else:
                return

    async def _single(self, target: Target, *, overwrite: bool) -> None:
        raw, content = Digest(), Digest()
        async with aclosing(self._opened(target, raw)) as stream:
            written = await self.sink.put_stream(
                target.key,
                stream,
                content,
                _metadata(self.run, target.file),
                lambda: {"sha256": content.sha256, "source-sha256": raw.sha256},
                overwrite=overwrite,
                source_size=target.file.stat.size,
            )
        outcome = FileOutcome.STORED if written else await self._existing(target.file, target.key, content)
        self.row(self._result(target.file, outcome, raw, key=target.key, size=content.size, sha256=content.sha256))

    async def _archive(self, target: Target, *, overwrite: bool) -> None:
        file, raw = target.file, Digest()
        verified = await self._verify_members(target, raw)
        try:
            self._claim(verified, file)
            metadata = {**_metadata(self.run, file), "source-sha256": raw.sha256}
            if all(member.held is not None for member in verified):
                for member in verified:
                    await self._write_member(file, member, _once(member.held or b""), raw, metadata, overwrite)
            else:
                await self._write_from_second_reading(target, verified, raw, metadata, overwrite)
        finally:
            self.budget.give_back(sum(len(member.held or b"") for member in verified))
        marker = {
            "source": {
                "path": file.path,
                "size": file.stat.size,
                "modifiedAt": rfc3339(file.stat.modified_at),
                "sha256": raw.sha256,
            },
            "members": [{"name": m.name, "key": m.key, "size": m.size, "sha256": m.sha256} for m in verified],
        }
        # Last, as it is what makes the archive count as stored. A rerun may replace what a crash left behind.
        await self.sink.put(target.key, json.dumps(marker).encode(), metadata, overwrite=True)

    async def _verify_members(self, target: Target, raw: Digest) -> list[_Verified]:
        """Read the whole archive and write nothing."""
        found: list[_Verified] = []
        holding, held_bytes = True, 0
        try:
            async with aclosing(self._opened(target, raw)) as stream:
                reader = TarReader(stream, EntryMeter(self.run.unpack))
                async for member in reader.members():
                    if holding and self.budget.take(member.size):
                        held_bytes += member.size
                    elif holding:
                        self.budget.give_back(held_bytes)
                        holding, held_bytes = False, 0
                        found = [_Verified(m.name, m.key, m.size, m.sha256, None) for m in found]
                    digest, chunks = hashlib.sha256(), []
                    async for chunk in reader.data():
                        digest.update(chunk)
                        if holding:
                            chunks.append(chunk)
                    try:
                        key = layout.member_key(self._prefix, target.file.folder, target.opening.stem, member.name)
                    except NameRefusedError as error:
                        raise Failed(Category.CONFIG, f"archive: {member.name[:200]!r}: {error}") from error
                    held = b"".join(chunks) if holding else None
                    found.append(_Verified(member.name, key, member.size, digest.hexdigest(), held))
        except BaseException:
            self.budget.give_back(held_bytes)
            raise
        return found

    def _claim(self, members: list[_Verified], file: RemoteFile) -> None:
        for member in members:
            owner = self.claims.setdefault(member.key, file.path)
            if owner != file.path:
                raise Failed(
                    Category.CONFIG,
                    f"archive: member {member.name[:200]!r} maps to {member.key}, as does {owner}",
                )

    async def _write_from_second_reading(
        self,
        target: Target,
        verified: list[_Verified],
        raw: Digest,
        metadata: dict[str, str],
        overwrite: bool,
    ) -> None:
        again = Digest()
        async with aclosing(self._opened(target, again)) as stream:
            reader = TarReader(stream, EntryMeter(self.run.unpack))
            expected = iter(verified)
            async for member in reader.members():
                known = next(expected, None)
                if known is None or (known.name, known.size) != (member.name, member.size):
                    raise Failed(Category.INTEGRITY, "the archive changed between its two readings")
                await self._write_member(target.file, known, reader.data(), raw, metadata, overwrite)

    async def _write_member(
        self,
        file: RemoteFile,
        member: _Verified,
        stream: AsyncGenerator[bytes],
        raw: Digest,
        metadata: dict[str, str],
        overwrite: bool,
    ) -> None:
        content = Digest()
        written = await self.sink.put_stream(
            member.key,
            _as_verified(stream, member),
            content,
            {**metadata, "sha256": member.sha256},
            dict,
            overwrite=overwrite,
            source_size=member.size,
        )
        outcome = FileOutcome.STORED if written else await self._existing(file, member.key, content)
        self.row(
            self._result(file, outcome, raw, member=member.name, key=member.key, size=member.size, sha256=member.sha256)
        )

    def _opened(self, target: Target, raw: Digest) -> AsyncGenerator[bytes]:
        """The file's content: downloaded, decrypted and inflated, as its name says."""
        stream = self._decrypted(target, raw)
        if target.opening.shape in (Shape.GZIP, Shape.TAR_GZ):
            stream = inflate(stream, ExpansionMeter(target.file.stat.size, self.run.unpack))
        return stream

    def _decrypted(self, target: Target, raw: Digest) -> AsyncGenerator[bytes]:
        stream = download(self.source, target.file, raw, self.downloaded)
        if not target.opening.encrypted:
            return stream
        if self.ring is None:
            raise Failed(Category.CONFIG, "the file is encrypted, and the provider has no decrypt.openpgp")
        return self.ring.decrypt(stream, ExpansionMeter(target.file.stat.size, self.run.unpack))

    async def _cause(self, target: Target, error: MalformedError) -> Failed:
        """The verdict on the message that malformed content came from, if it is the message that is damaged."""
        if not target.opening.encrypted:
            return error
        try:
            async with aclosing(self._decrypted(target, Digest())) as stream:
                async for _ in stream:
                    pass
        except ConnectionLostError:
            return error
        except Failed as verdict:
            return verdict
        return error

    async def _existing(self, file: RemoteFile, key: str, content: Digest) -> FileOutcome:
        """The key was taken: the same data is as good as stored, and other data must not be lost."""
        facts = await self.sink.facts(key)
        if facts is not None and _same(facts, file, content):
            return FileOutcome.ALREADY_STORED
        raise Failed(Category.INTEGRITY, f"another object is stored under {key}; it is left as it is")

    def _result(
        self, file: RemoteFile, outcome: FileOutcome, raw: Digest, *, key: str, size: int, sha256: str, member: str = ""
    ) -> FileResult:
        return FileResult(
            source_path=file.path,
            member=member,
            outcome=outcome,
            key=key,
            source_size=file.stat.size,
            source_modified_at=file.stat.modified_at,
            source_sha256=raw.sha256,
            size=size,
            sha256=sha256,
            finished_at=self.now(),
        )

    @property
    def _prefix(self) -> str:
        return self.run.destination.s3.prefix if self.run.destination else ""


def _metadata(run: Run, file: RemoteFile) -> dict[str, str]:
    """What stands with every object made from the file."""
    metadata = {**source_facts(file), "octo-job": run.job.uid}
    path = quote(file.path)
    if len(path) <= _MAX_PATH_METADATA:
        metadata["source-path"] = path
    return metadata


def source_facts(file: RemoteFile) -> dict[str, str]:
    """What tells, with a stored object, from which state of its source it was made."""
    return {"source-size": str(file.stat.size), "source-mtime": rfc3339(file.stat.modified_at)}


def unchanged(facts: ObjectFacts, file: RemoteFile) -> bool:
    """Whether a stored object was made from the file as it is now listed."""
    return all(facts.metadata.get(name) == value for name, value in source_facts(file).items())


def _same(facts: ObjectFacts, file: RemoteFile, content: Digest) -> bool:
    """By digest where the object carries one; a multipart object does not, and goes by length and source."""
    known = facts.metadata.get("sha256")
    return facts.size == content.size and (unchanged(facts, file) if known is None else known == content.sha256)


async def _as_verified(stream: AsyncGenerator[bytes], member: _Verified) -> AsyncGenerator[bytes]:
    digest = Digest()
    async for chunk in stream:
        digest.add(chunk)
        yield chunk
    if digest.sha256 != member.sha256:
        raise Failed(Category.INTEGRITY, "the archive changed between its two readings")


async def _once(data: bytes) -> AsyncGenerator[bytes]:
    yield data
