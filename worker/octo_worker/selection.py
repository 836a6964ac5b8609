"""Which files of a listing a run takes, and which cannot be told apart once stored. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from octo_core.domain.provider import OpenPgpMode, UnpackMode
from octo_core.domain.run import RunSelection
from octo_core.domain.selection import SelectionPolicy
from octo_worker import layout
from octo_worker.layout import NameRefusedError, Opening
from octo_worker.sources import RemoteFile


@dataclass(frozen=True, slots=True)
class Target:
    """A file and where it goes: ``key`` is its object, or the marker of an archive."""

    file: RemoteFile
    opening: Opening
    key: str


@dataclass(slots=True)
class Plan:
    """What a listing comes to. ``stored`` ones have an object; the policy says what becomes of them."""

    new: list[Target] = field(default_factory=list)
    stored: list[Target] = field(default_factory=list)
    refused: list[tuple[RemoteFile, str]] = field(default_factory=list)
    listed: int = 0
    left_out: int = 0


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    """``*`` and ``?`` stay within a folder, ``**`` crosses; a glob without a slash is matched in every folder."""
    anchored = glob.lstrip("/")
    out = "" if "/" in glob else "(?:.*/)?"
    rest = anchored
    while rest:
        if rest.startswith("**/"):
            out, rest = out + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            out, rest = out + ".*", rest[2:]
        elif rest[0] == "*":
            out, rest = out + "[^/]*", rest[1:]
        elif rest[0] == "?":
            out, rest = out + "[^/]", rest[1:]
        elif group := re.match(r"\[(!?)(\]?[^\]/]*)\]", rest):
            members = re.sub(r"([\\\[\]^&~|])", r"\\\1", group[2])
            out, rest = out + f"[{'^/' if group[1] else ''}{members}]", rest[group.end() :]
        else:
            out, rest = out + re.escape(rest[0]), rest[1:]
    return re.compile(out, re.DOTALL)


def matches(glob: str, path: str) -> bool:
    """Whether a path below its root matches a glob of ``include`` or ``exclude``."""
    try:
        return _pattern(glob).fullmatch(path) is not None
    except re.error:
        return glob == path


def wanted(file: RemoteFile, selection: RunSelection, now: datetime) -> bool:
    """Whether the run looks at the file at all: not a detached signature, by the globs, and old enough."""
    path = file.below_root
    if path.lower().endswith(".sig"):
        return False
    if selection.include and not any(matches(glob, path) for glob in selection.include):
        return False
    if any(matches(glob, path) for glob in selection.exclude):
        return False
    return now - file.stat.modified_at >= timedelta(seconds=selection.min_age_seconds)


def make_plan(
    listing: Iterable[RemoteFile],
    stored_keys: Container[str],
    selection: RunSelection,
    *,
    prefix: str,
    pgp: OpenPgpMode,
    unpack: UnpackMode,
    now: datetime,
) -> Plan:
    """Sort a listing into new, stored and refused files. Files that would share a key are all refused."""
    plan = Plan()
    claims: dict[str, list[Target]] = defaultdict(list)
    seen: set[str] = set()
    for file in listing:
        if file.path in seen:  # listed paths may lie within each other
            continue
        seen.add(file.path)
        plan.listed += 1
        if not wanted(file, selection, now):
            plan.left_out += 1
        elif file.unusable:
            plan.refused.append((file, file.unusable))
        else:
            try:
                target, claim = _target(file, prefix, pgp, unpack)
            except NameRefusedError as error:
                plan.refused.append((file, str(error)))
            else:
                claims[claim].append(target)
    for claim, targets in claims.items():
        if len(targets) > 1:
            paths = ", ".join(target.file.path for target in targets)
            plan.refused.extend((target.file, f"several files map to {claim}: {paths}") for target in targets)
        elif targets[0].key in stored_keys:
            plan.stored.append(targets[0])
        else:
            plan.new.append(targets[0])
    if selection.policy is SelectionPolicy.ALL:
        plan.new, plan.stored = plan.new + plan.stored, []
    return plan


def _target(file: RemoteFile, prefix: str, pgp: OpenPgpMode, unpack: UnpackMode) -> tuple[Target, str]:
    """The target, and what it claims for itself: its key, or for an archive the folder of its members."""
    how = layout.opening(file.name, pgp, unpack)
    if how.shape.archive:
        marker = layout.marker_key(prefix, file.folder, file.name)
        return Target(file, how, marker), f"{layout.object_key(prefix, file.folder, how.stem)}/"
    key = layout.object_key(prefix, file.folder, how.stem)
    return Target(file, how, key), key
