"""The console's files as they are sent: read once, packed once, named by what is in them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

INDEX = "index.html"
_ASSETS_MARK = b"{{assets}}"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, plain and packed."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str
    """Strong; of the plain form."""
    packed_etag: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files. They name each other by relative paths, so the version in the path of one is in all of theirs."""

    version: str
    index: Asset
    files: Mapping[str, Asset]


def load() -> Assets:
    """What the package brings."""
    return assets_of(dict(_files(resources.files(__package__) / "static", "")))


def assets_of(files: Mapping[str, bytes]) -> Assets:
    """The files by their paths, of which ``index.html`` gets the version in place of its mark. Pure."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{len(files[path])}\0".encode() + files[path])
    version = digest.hexdigest()[:16]
    index = files[INDEX].replace(_ASSETS_MARK, f"assets/{version}".encode())
    return Assets(
        version,
        _asset(INDEX, index),
        {path: _asset(path, body) for path, body in files.items() if path != INDEX},
    )


def _asset(path: str, body: bytes) -> Asset:
    digest = hashlib.sha256(body).hexdigest()[:32]
    # Without a time in it, so that all replicas send the same bytes.
    packed = gzip.compress(body, 9, mtime=0)
    return Asset(MEDIA_TYPES[PurePosixPath(path).suffix], body, packed, f'"{digest}"', f'"{digest}-gzip"')


def _files(folder: Traversable, prefix: str) -> Iterable[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        elif PurePosixPath(entry.name).suffix in MEDIA_TYPES:
            yield prefix + entry.name, entry.read_bytes()
