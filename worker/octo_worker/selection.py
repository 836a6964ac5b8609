"""Which files of a listing a run takes, and which cannot be told apart once stored. Pure.

A listing may have a hundred thousand files, so it is looked at as it comes, and of a file that is left out
nothing is kept but a count.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from octo_core.domain.failure import Category
from octo_core.domain.provider import Disposition, OpenPgpMode
from octo_core.domain.run import Run, RunSelection
from octo_core.domain.selection import SelectionPolicy
from octo_core.domain.shard import shard_of
from octo_worker import layout
from octo_worker.globs import matches
from octo_worker.layout import NameRefusedError, Opening
from octo_worker.sources import RemoteFile, Unreadable

_DETACHED = ".asc"
"""Also the ending of an armored message; it is a signature if the file it would sign is listed beside it."""


class SkipReason(StrEnum):
    """Why a listed file is not taken; the values are for people."""

    SIGNATURE = "is a detached signature"
    NOT_INCLUDED = "is not in include"
    EXCLUDED = "is in exclude"
    TOO_YOUNG = "is younger than minAgeSeconds"
    OUT_OF_RANGE = "is outside of modifiedAfter and modifiedBefore"
    ALREADY_STORED = "is already stored"
    OVER_LIMIT = "is past maxFiles or maxBytes, and left to a later run"
    CHANGING = "has changed since it was listed, and is left to a later run"


@dataclass(frozen=True, slots=True)
class Target:
    """A file and where it goes: ``key`` is its object, or the marker of an archive."""

    file: RemoteFile
    opening: Opening
    key: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file or folder that cannot be taken, and why. It fails, and the run goes on."""

    what: RemoteFile | Unreadable
    category: Category
    why: str


@dataclass(slots=True)
class Plan:
    """What a listing comes to."""

    pending: list[Target] = field(default_factory=list)
    """What the run moves, in that order."""
    stored: list[Target] = field(default_factory=list)
    """Those that have an object already; kept only where somebody asks for them."""
    refused: list[Refusal] = field(default_factory=list)
    listed: int = 0
    skipped: Counter[SkipReason] = field(default_factory=Counter)


def reason_to_skip(file: RemoteFile, selection: RunSelection, now: datetime) -> SkipReason | None:
    """Why the run does not even look at a file, by its name and time alone."""
    path, modified = file.below_root, file.modified_at
    if path.lower().endswith(".sig"):
        return SkipReason.SIGNATURE
    if selection.include and not any(matches(glob, path) for glob in selection.include):
        return SkipReason.NOT_INCLUDED
    if any(matches(glob, path) for glob in selection.exclude):
        return SkipReason.EXCLUDED
    if now - modified < timedelta(seconds=selection.min_age_seconds):
        return SkipReason.TOO_YOUNG
    if (selection.modified_after is not None and modified < selection.modified_after) or (
        selection.modified_before is not None and modified >= selection.modified_before
    ):
        return SkipReason.OUT_OF_RANGE
    return None


class Planner:
    """Takes the files of a listing one by one; ``plan`` then says what becomes of them.

    Files that would share a key are all refused, but for one that counts as stored already.
    ``stored_keys`` are those in the bucket; ``shard`` is the number of this worker and how many there are.
    ``keep_stored`` keeps the files that have an object already, for whoever has a use for them; those that are to be
    fetched again are kept anyhow.
    """

    def __init__(
        self,
        run: Run,
        stored_keys: Container[str],
        *,
        now: datetime,
        shard: tuple[int, int] = (0, 1),
        keep_stored: bool = False,
        skipped: Callable[[RemoteFile, SkipReason], None] = lambda file, reason: None,
    ) -> None:
        destination, selection = run.destination, run.selection
        self._selection = selection
        self._prefix = destination.s3.prefix if destination else ""
        self._pgp = run.decrypt.openpgp.mode if run.decrypt else OpenPgpMode.NEVER
        self._unpack = run.unpack.mode
        self._keep_stored = keep_stored
        self._everything = selection.policy in (SelectionPolicy.ALL, SelectionPolicy.EXPLICIT)
        self._again = {refetch.path for refetch in selection.refetch}
        self._stored_keys = stored_keys
        self._now = now
        self._shard, self._shards = shard
        self._skipped = skipped
        self._plan = Plan()
        self._new: dict[str, Target | list[Target]] = {}
        self._taken: set[bytes] = set()
        self._seen: set[bytes] = set()
        self._folder = ""
        self._names: set[str] = set()
        self._armored: list[RemoteFile] = []

    def add(self, file: RemoteFile | Unreadable) -> None:
        """What the listing has next. The files of one folder come one after the other; one may come twice."""
        digest = _digest(file.path)
        if digest in self._seen:
            return
        self._seen.add(digest)
        if isinstance(file, Unreadable):
            self._note(file)
            return
        folder = file.path[: len(file.path) - len(file.name)]
        if folder != self._folder:
            self._end_folder()
            self._folder = folder
        if self._pgp is OpenPgpMode.NEVER:
            self._look(file)
        elif file.name.lower().endswith(_DETACHED):
            self._armored.append(file)
        else:
            self._names.add(file.name)
            self._look(file)

    def plan(self) -> Plan:
        """What the listing comes to; ``pending`` is without those of ``stored`` that turn out to have changed."""
        self._end_folder()
        plan = self._plan
        for claim, found in self._new.items():
            if isinstance(found, Target):
                if _digest(claim) in self._taken:
                    self._refuse(found.file, f"maps to {claim}, as does another file that counts as stored")
                elif found.key in self._stored_keys and not self._everything:
                    plan.stored.append(found)
                else:
                    plan.pending.append(found)
            elif any(self._is_mine(target.file) for target in found):
                paths = ", ".join(target.file.path for target in found)
                for target in found:
                    self._refuse(target.file, f"several files map to {claim}: {paths}")
        plan.pending = [target for target in plan.pending if self._is_mine(target.file)]
        plan.stored = [target for target in plan.stored if self._is_mine(target.file)]
        self._new.clear()
        return plan

    def choose(self, candidates: Iterable[Target]) -> list[Target]:
        """The oldest of them, as many as ``maxFiles`` and ``maxBytes`` allow; the others are skipped.

        Workers that share a run see the bucket at different moments, so each keeps to its share of the limits.
        """
        chosen: list[Target] = []
        total = 0
        max_files, max_bytes = self._share(self._selection.max_files), self._share(self._selection.max_bytes)
        for target in sorted(candidates, key=lambda target: (target.file.mtime, target.file.path)):
            total += target.file.size
            too_many = max_files is not None and len(chosen) >= max_files
            too_much = max_bytes is not None and total > max_bytes and bool(chosen)
            if too_many or too_much:
                self.skip(target.file, SkipReason.OVER_LIMIT)
            else:
                chosen.append(target)
        return chosen

    def skip(self, file: RemoteFile, reason: SkipReason) -> None:
        """Count a file that is left out."""
        self._plan.skipped[reason] += 1
        self._skipped(file, reason)

    def _share(self, limit: int | None) -> int | None:
        if limit is None:
            return None
        return limit // self._shards + (self._shard < limit % self._shards)

    def _end_folder(self) -> None:
        for file in self._armored:
            if file.name[: -len(_DETACHED)] in self._names:
                self._count(file)
                if self._is_mine(file):
                    self.skip(file, SkipReason.SIGNATURE)
            else:
                self._look(file)
        self._armored.clear()
        self._names.clear()

    def _note(self, what: Unreadable) -> None:
        # What is excluded need not be readable: the folder itself, or all that lies in it.
        inside = (what.below_root, f"{what.below_root}/-")
        if not any(matches(glob, path) for glob in self._selection.exclude for path in inside):
            self._count(what)
            self._refuse(what, what.message, what.category)

    def _is_mine(self, what: RemoteFile | Unreadable) -> bool:
        return self._shards == 1 or shard_of(what.path, self._shards) == self._shard

    def _count(self, what: RemoteFile | Unreadable) -> None:
        self._plan.listed += self._is_mine(what)

    def _refuse(self, what: RemoteFile | Unreadable, why: str, category: Category = Category.CONFIG) -> None:
        if self._is_mine(what):
            self._plan.refused.append(Refusal(what, category, why))

    def _look(self, file: RemoteFile) -> None:
        self._count(file)
        reason = reason_to_skip(file, self._selection, self._now)
        if reason is not None:
            if self._is_mine(file):
                self.skip(file, reason)
            return
        if file.unusable:
            self._refuse(file, file.unusable)
            return
        try:
            target, claim = self._target(file)
        except NameRefusedError as error:
            self._refuse(file, str(error))
            return
        keep = self._keep_stored or self._everything or file.path in self._again
        if not keep and target.key in self._stored_keys:
            self._drop(target, claim)
        elif _digest(claim) in self._taken:
            self._refuse(file, f"maps to {claim}, as does another file that counts as stored")
        else:
            other = self._new.setdefault(claim, target)
            if isinstance(other, list):
                other.append(target)
            elif other is not target:
                self._new[claim] = [other, target]

    def _drop(self, target: Target, claim: str) -> None:
        """Of a stored file only its claim is kept, so that no second one counts as stored by it."""
        digest = _digest(claim)
        if digest in self._taken:
            self._refuse(target.file, f"maps to {claim}, as does another file that counts as stored")
            return
        self._taken.add(digest)
        if self._is_mine(target.file):
            self.skip(target.file, SkipReason.ALREADY_STORED)

    def _target(self, file: RemoteFile) -> tuple[Target, str]:
        """The target, and what it claims for itself: its key, or for an archive the folder of its members."""
        how = layout.opening(file.name, self._pgp, self._unpack)
        key = layout.object_key(self._prefix, file.folder, how.stem)
        if how.archive is None:
            return Target(file, how, key), key
        return Target(file, how, layout.marker_key(self._prefix, file.folder, file.name)), f"{key}/"


class OwnKeys:
    """The keys that some targets write: their own, and with ``members`` those of the members of archives.

    Below an archive's folder a file of that folder may be stored, too, which another worker may be about to do.
    """

    def __init__(self, targets: Iterable[Target], prefix: str, *, members: bool) -> None:
        self._data = f"{prefix}/data/" if prefix else "data/"
        self._keys: set[str] = set()
        self._folders: set[str] = set()
        for target in targets:
            self._keys.add(target.key)
            if members and target.opening.archive is not None:
                self._folders.add("/".join(filter(None, (target.file.folder, target.opening.stem))))

    def __contains__(self, key: object) -> bool:
        if key in self._keys:
            return True
        if not isinstance(key, str) or not key.startswith(self._data):
            return False
        _, _, rest = key.removeprefix(self._data).partition("/")  # behind the type
        while rest := rest.rpartition("/")[0]:
            if rest in self._folders:
                return True
        return False


def disposition_of(run: Run) -> Disposition:
    """What becomes of source files that are stored."""
    return run.source.sftp.disposition if run.source else Disposition()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
