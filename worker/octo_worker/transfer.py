"""Moves one file: download, decrypt, unpack, verify, upload. All of it but the download runs in a thread.

A file that is one object streams through. The members of an archive must not become visible before
the end of the archive has been verified, and an archive may have any number of them. So it is read
once without writing anything: members are held in memory as far as the run's budget goes, otherwise
only their digests are. Members that were held are then written; otherwise the archive is read a
second time, and each member is written once its bytes have the digest of the first reading. That
costs a second download of a large archive, and no memory, staging or disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

from octo_core.domain.failure import Category
from octo_core.domain.model import rfc3339
from octo_core.domain.report import FileOutcome, FileResult
from octo_core.domain.run import Run
from octo_core.domain.selection import OverwritePolicy
from octo_worker import layout
from octo_worker.bridge import Stop, pulled
from octo_worker.failure import Failed, MalformedError
from octo_worker.layout import NameRefusedError
from octo_worker.limits import ExpansionMeter, MemoryBudget
from octo_worker.selection import Target
from octo_worker.sources import RemoteFile
from octo_worker.stages.ahead import ahead
from octo_worker.stages.archive import members
from octo_worker.stages.decrypt import KeyRing
from octo_worker.stages.expand import expand
from octo_worker.stages.verify import Digest, hashed

if TYPE_CHECKING:
    from octo_worker.sinks.s3 import ObjectFacts, S3Sink

REFETCH_MARK = "octo-refetch"
"""Metadata of an object that was fetched again: the id of what asked for it."""
HELD_BYTES = 64 << 20
"""What all archives of a run together may hold in memory."""
LARGE = 1 << 20
"""From this size on the stages of a file run in two threads."""
AHEAD_BYTES = 1 << 20
CHANGED_BETWEEN_READINGS = "the archive changed between its two readings"
_MAX_PATH_METADATA = 1024
"""S3 takes 2 KiB of metadata in all; a longer path stands in the manifest only."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """A member as the first reading of its archive found it."""

    name: str
    key: str
    size: int
    sha256: str
    held: bytes | None


class Claims:
    """Which source path each key belongs to: those planned, and the members of archives seen so far."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._lock = Lock()

    def take(self, key: str, path: str) -> str:
        """Claim a key for a path; the answer is whose it is."""
        with self._lock:
            return self._owners.setdefault(key, path)


@dataclass(slots=True)
class Move:
    """One file on its way."""

    target: Target
    downloads: Callable[[], AsyncGenerator[bytes]]
    """Opens the file's bytes, on the event loop; an archive may be read twice."""
    row: Callable[[FileResult], None]
    """Called, in the thread, for each object that is stored."""
    now: Callable[[], datetime]
    tries: Callable[[], int]
    """How often the file has been tried so far."""
    signature: bytes | None = None
    """The detached signature beside the file, where signatures are required and there is one."""
    refetch: str | None = None
    """The id of what asks for the file to be fetched again."""
    raw: Digest = field(default_factory=Digest)
    """Of the bytes on the server."""

    @property
    def file(self) -> RemoteFile:
        """The source file."""
        return self.target.file

    def stored(self, outcome: FileOutcome, *, key: str, content: Digest, source_sha256: str, member: str = "") -> None:
        """Tell of an object."""
        self.row(
            FileResult(
                source_path=self.file.path,
                member=member,
                outcome=outcome,
                key=key,
                source_size=self.file.size,
                source_modified_at=self.file.modified_at,
                source_sha256=source_sha256,
                size=content.size,
                sha256=content.sha256,
                refetch=self.refetch,
                tries=self.tries(),
                finished_at=self.now(),
            )
        )


@dataclass(slots=True)
class Transfers:
    """What all transfers of a run share."""

    run: Run
    sink: S3Sink
    ring: KeyRing | None
    stop: Stop
    loop: asyncio.AbstractEventLoop
    overwrite: OverwritePolicy
    claims: Claims = field(default_factory=Claims)
    budget: MemoryBudget = field(default_factory=lambda: MemoryBudget(HELD_BYTES))

    def move(self, move: Move) -> None:
        """Store one file; blocks. Raises ``Failed``, or ``LeftForLaterError`` if it is still being written."""
        if move.target.opening.archive is None:
            self._single(move)
        else:
            with _told_at_the_end(move):
                self._archive(move)

    # ---- one object -----------------------------------------------------------------------------

    def _single(self, move: Move) -> None:
        content = Digest()
        with closing(self._content(move)) as chunks:
            outcome = self._write(
                move,
                move.target.key,
                chunks,
                content,
                _metadata(self.run, move),
                expected_size=move.file.size,
                late=lambda: {"sha256": content.sha256, "source-sha256": move.raw.sha256},
            )
        move.stored(outcome, key=move.target.key, content=content, source_sha256=move.raw.sha256)

    def _write(
        self,
        move: Move,
        key: str,
        chunks: Iterator[bytes],
        content: Digest,
        metadata: dict[str, str],
        *,
        expected_size: int,
        late: Callable[[], dict[str, str]] = dict,
    ) -> FileOutcome:
        """Write an object once its chunks have come to a good end, if the overwrite policy lets it."""
        before = self._replaceable(move, key)
        overwrite = self.overwrite is OverwritePolicy.ALWAYS or before is not None
        with self.sink.writer(key, metadata, overwrite=overwrite, expected_size=expected_size) as writer:
            for chunk in chunks:
                self.stop.check()
                content.add(chunk)
                writer.write(chunk)
            if before is not None and move.refetch is None and _same(before, move.file, content):
                return FileOutcome.ALREADY_STORED
            if writer.commit(late()):
                return FileOutcome.STORED
        facts = self.sink.facts(key)
        if facts is None or not _same(facts, move.file, content):
            raise Failed(Category.INTEGRITY, f"another object is stored under {key}; it is left as it is")
        return FileOutcome.ALREADY_STORED

    def _replaceable(self, move: Move, key: str) -> ObjectFacts | None:
        """The object that is there, if it was made from this file and may be replaced only if it differs."""
        always = self.overwrite is OverwritePolicy.ALWAYS
        file, never = move.file, self.overwrite is OverwritePolicy.NEVER and move.refetch is None
        if never or (always and self.run.transfer.parallelism == 1):
            return None
        facts = self.sink.facts(key)
        foreign = facts is not None and facts.metadata.get("source-path", _source_path(file)) != _source_path(file)
        if always:
            # What this worker stores is in its claims; what another of the same run has stored, only its object tells.
            if foreign and facts is not None and facts.metadata.get("octo-job") == self.run.job.uid:
                raise Failed(Category.CONFIG, f"maps to {key}, as does another file of this run")
            return None
        if foreign:
            raise Failed(Category.INTEGRITY, f"the object under {key} was made from another file; it is left as it is")
        return facts

    # ---- archives -------------------------------------------------------------------------------

    def _archive(self, move: Move) -> None:
        target, file = move.target, move.file
        verified = self._verify_members(move)
        source_sha256 = move.raw.sha256
        metadata = {**_metadata(self.run, move), "source-sha256": source_sha256}
        try:
            self._claim(verified, file)
            if all(member.held is not None for member in verified):
                for member in verified:
                    self._write_member(move, member, iter((member.held or b"",)), metadata)
            else:
                self._write_from_second_reading(move, verified, metadata)
        finally:
            self.budget.give_back(sum(len(member.held or b"") for member in verified))
        marker = {
            "source": {
                "path": file.path,
                "size": file.size,
                "modifiedAt": rfc3339(file.modified_at),
                "sha256": source_sha256,
            },
            "members": [{"name": m.name, "key": m.key, "size": m.size, "sha256": m.sha256} for m in verified],
        }
        # Last, as it is what makes the archive count as stored. A rerun may replace what a crash left behind.
        self.sink.put(target.key, json.dumps(marker).encode(), metadata, overwrite=True)

    def _verify_members(self, move: Move) -> list[_Verified]:
        """Read the whole archive and write nothing."""
        found: list[_Verified] = []
        kept: list[bytes] = []
        holding, held_bytes = True, 0
        try:
            with closing(self._content(move)) as content, self._hearing_out(content):
                for name, key, chunks in self._members(move, content):
                    digest = Digest()
                    for chunk in chunks:
                        self.stop.check()
                        digest.add(chunk)
                        if holding and self.budget.take(len(chunk)):
                            held_bytes += len(chunk)
                            kept.append(chunk)
                        elif holding:
                            self.budget.give_back(held_bytes)
                            holding, held_bytes = False, 0
                            kept.clear()
                            found = [_Verified(m.name, m.key, m.size, m.sha256, None) for m in found]
                    held = b"".join(kept) if holding else None
                    kept.clear()
                    found.append(_Verified(name, key, digest.size, digest.sha256, held))
        except BaseException:
            self.budget.give_back(held_bytes)
            raise
        return found

    def _members(self, move: Move, content: Iterator[bytes]) -> Iterator[tuple[str, str, Iterator[bytes]]]:
        """Name, key and bytes of each member of an archive."""
        opening = move.target.opening
        assert opening.archive is not None  # noqa: S101 - callers look
        for member in members(opening.archive, content, self.run.unpack, move.file.size):
            try:
                key = layout.member_key(self._prefix, move.file.folder, opening.stem, member.name)
            except NameRefusedError as error:
                raise Failed(Category.CONFIG, f"archive: {member.name[:200]!r}: {error}") from error
            yield member.name, key, member.chunks

    def _claim(self, verified: list[_Verified], file: RemoteFile) -> None:
        for member in verified:
            owner = self.claims.take(member.key, file.path)
            if owner != file.path:
                raise Failed(
                    Category.CONFIG,
                    f"archive: member {member.name[:200]!r} maps to {member.key}, as does {owner}",
                )

    def _write_from_second_reading(self, move: Move, verified: list[_Verified], metadata: dict[str, str]) -> None:
        first, move.raw = move.raw, Digest()
        expected = iter(verified)
        with closing(self._content(move)) as content:
            for name, _, chunks in self._members(move, content):
                known = next(expected, None)
                if known is None or known.name != name:
                    raise Failed(Category.INTEGRITY, CHANGED_BETWEEN_READINGS)
                self._write_member(move, known, _as_verified(chunks, known), metadata)
        if move.raw.sha256 != first.sha256:
            raise Failed(Category.INTEGRITY, CHANGED_BETWEEN_READINGS)

    def _write_member(self, move: Move, member: _Verified, chunks: Iterator[bytes], metadata: dict[str, str]) -> None:
        content = Digest()
        with_digest = {**metadata, "sha256": member.sha256}
        outcome = self._write(move, member.key, chunks, content, with_digest, expected_size=member.size)
        source_sha256 = metadata["source-sha256"]
        move.stored(outcome, key=member.key, content=content, source_sha256=source_sha256, member=member.name)

    # ---- a file's content -----------------------------------------------------------------------

    def _content(self, move: Move) -> Generator[bytes]:
        """The file's content: downloaded, decrypted and expanded, as its name says."""
        opening = move.target.opening
        inner = self._decrypted(move)
        if move.file.size >= LARGE:
            inner = ahead(inner, AHEAD_BYTES)
        with closing(inner):
            if opening.compression is None:
                yield from inner
            else:
                meter = ExpansionMeter(move.file.size, self.run.unpack)
                with self._hearing_out(inner):
                    yield from expand(opening.compression, inner, meter)

    @contextmanager
    def _hearing_out(self, chunks: Iterator[bytes]) -> Iterator[None]:
        """What is malformed may come out of a message that is damaged, or of a file that changed while it was
        read; gpg and the download know only at the end. So they are read to it, and their verdict goes first."""
        try:
            yield
        except MalformedError:
            for _ in chunks:
                self.stop.check()
            raise

    def _decrypted(self, move: Move) -> Generator[bytes]:
        with (
            closing(pulled(self.loop, move.downloads(), self.stop)) as downloaded,
            closing(self._signed(move, hashed(downloaded, move.raw))) as chunks,
        ):
            if not move.target.opening.encrypted:
                yield from chunks
                return
            if self.ring is None:
                raise Failed(Category.CONFIG, "the file is encrypted, and the provider has no decrypt.openpgp")
            meter = ExpansionMeter(move.file.size, self.run.unpack)
            signed_beside = move.signature is not None
            with closing(self.ring.decrypt(chunks, meter, signed_beside=signed_beside)) as opened:
                yield from opened

    def _signed(self, move: Move, chunks: Iterator[bytes]) -> Generator[bytes]:
        """The file's bytes, held against the signature beside it."""
        if move.signature is None:
            yield from chunks
            return
        if self.ring is None:
            raise Failed(Category.CONFIG, "the file has a signature to check, and the provider has no decrypt.openpgp")
        with closing(self.ring.verify_detached(move.signature, chunks)) as verified:
            yield from verified

    @property
    def _prefix(self) -> str:
        return self.run.destination.s3.prefix if self.run.destination else ""


@contextmanager
def _told_at_the_end(move: Move) -> Iterator[None]:
    """Of an archive that is fetched again, rows may say so only once its marker does: a crash before that has the next
    run do it again."""
    if move.refetch is None:
        yield
        return
    rows: list[FileResult] = []
    tell, move.row = move.row, rows.append
    try:
        yield
    except BaseException:
        for row in rows:
            tell(row.model_copy(update={"refetch": None}))
        raise
    for row in rows:
        tell(row)


def _metadata(run: Run, move: Move) -> dict[str, str]:
    """What stands with every object made from the file."""
    metadata = {**source_facts(move.file), "octo-job": run.job.uid}
    path = _source_path(move.file)
    if len(path) <= _MAX_PATH_METADATA:
        metadata["source-path"] = path
    if move.refetch is not None:
        metadata[REFETCH_MARK] = move.refetch
    return metadata


def _source_path(file: RemoteFile) -> str:
    return quote(file.path)


def source_facts(file: RemoteFile) -> dict[str, str]:
    """What tells, with a stored object, from which state of its source it was made."""
    return {"source-size": str(file.size), "source-mtime": rfc3339(file.modified_at)}


def unchanged(facts: ObjectFacts, file: RemoteFile) -> bool:
    """Whether a stored object was made from the file as it is now listed."""
    return all(facts.metadata.get(name) == value for name, value in source_facts(file).items())


def _same(facts: ObjectFacts, file: RemoteFile, content: Digest) -> bool:
    """By digest where the store has kept one; else by length and state of the source."""
    known = facts.metadata.get("sha256")
    return facts.size == content.size and (unchanged(facts, file) if known is None else known == content.sha256)


def _as_verified(chunks: Iterator[bytes], member: _Verified) -> Iterator[bytes]:
    digest = Digest()
    for chunk in chunks:
        digest.add(chunk)
        yield chunk
    if digest.sha256 != member.sha256:
        raise Failed(Category.INTEGRITY, CHANGED_BETWEEN_READINGS)
