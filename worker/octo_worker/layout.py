"""Where a source file's data goes in the bucket. Pure: the key follows from names alone.

``<prefix>/data/<csv|pdf|xml|json|other>/<folder>/<file>``, where the file has lost its encryption
ending if it is decrypted, and the likes of ``.gz`` if it is unpacked. The members of an archive go below
a folder of the archive's name, and ``<prefix>/archives/<folder>/<archive>.json`` says that all of them are there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from octo_core.domain.provider import OpenPgpMode, UnpackMode

MAX_KEY_BYTES = 1024
"""S3's limit."""
_ENCRYPTED = (".gpg", ".pgp", ".asc")
_TYPES = ("csv", "pdf", "xml", "json")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class NameRefusedError(ValueError):
    """A name that no object may have; the text says why."""


class Compression(StrEnum):
    """How one stream of bytes is compressed."""

    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"


class ArchiveKind(StrEnum):
    """What holds members."""

    TAR = "tar"
    ZIP = "zip"


_COMPRESSIONS = {
    ".gz": Compression.GZIP,
    ".bz2": Compression.BZIP2,
    ".xz": Compression.XZ,
    ".zst": Compression.ZSTD,
}
_SHORT_TARS = {
    ".tgz": Compression.GZIP,
    ".tbz2": Compression.BZIP2,
    ".tbz": Compression.BZIP2,
    ".txz": Compression.XZ,
    ".tzst": Compression.ZSTD,
}
# In this order: `.tar.gz` is to be found before `.gz`.
_ENDINGS: dict[str, tuple[Compression | None, ArchiveKind | None]] = {
    **{f".tar{ending}": (compression, ArchiveKind.TAR) for ending, compression in _COMPRESSIONS.items()},
    **{ending: (compression, ArchiveKind.TAR) for ending, compression in _SHORT_TARS.items()},
    ".tar": (None, ArchiveKind.TAR),
    ".zip": (None, ArchiveKind.ZIP),
    **{ending: (compression, None) for ending, compression in _COMPRESSIONS.items()},
}


@dataclass(frozen=True, slots=True)
class Opening:
    """How a file is opened, by its name: decrypted, then expanded, then read as an archive; and the name that is
    left."""

    encrypted: bool
    compression: Compression | None
    archive: ArchiveKind | None
    stem: str


def _without(name: str, endings: tuple[str, ...]) -> str | None:
    """The name without the ending it has of these, in any case; None if it has none or would be nothing else."""
    for ending in endings:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return None


def opening(name: str, pgp: OpenPgpMode, unpack: UnpackMode) -> Opening:
    """How a file of that name is opened. Raises ``NameRefusedError`` if it must be encrypted and is not."""
    bare = None if pgp is OpenPgpMode.NEVER else _without(name, _ENCRYPTED)
    if pgp is OpenPgpMode.REQUIRED and bare is None:
        raise NameRefusedError("decrypt.openpgp.mode is Required, and the name does not end in .gpg, .pgp or .asc")
    encrypted, stem = bare is not None, bare or name
    if unpack is UnpackMode.AUTO:
        for ending, (compression, archive) in _ENDINGS.items():
            inner = _without(stem, (ending,))
            if inner is not None:
                return Opening(encrypted, compression, archive, inner)
    return Opening(encrypted, None, None, stem)


def check_path(path: str) -> None:
    """Refuse a relative path that is not made of plain names: empty, ``.``, ``..``, rooted, control characters."""
    if path.startswith("/"):
        raise NameRefusedError("the path is absolute")
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise NameRefusedError(f"the path has a part {part!r}")
        if "\\" in part:
            raise NameRefusedError("the path has a backslash")
        if _CONTROL.search(part):
            raise NameRefusedError("the path has a control character or is not UTF-8")


def type_of(name: str) -> str:
    """The data folder for a name, by its ending."""
    _, dot, ending = name.rpartition(".")
    return ending.lower() if dot and ending.lower() in _TYPES else "other"


def _key(*parts: str) -> str:
    key = "/".join(part for part in parts if part)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise NameRefusedError(f"the object's key would be longer than {MAX_KEY_BYTES} bytes")
    return key


def object_key(prefix: str, folder: str, stem: str) -> str:
    """Key of a file that is one object."""
    check_path(f"{folder}/{stem}" if folder else stem)
    return _key(prefix, "data", type_of(stem), folder, stem)


def member_key(prefix: str, folder: str, archive_stem: str, member: str) -> str:
    """Key of a member of an archive."""
    check_path(member)
    check_path(f"{folder}/{archive_stem}" if folder else archive_stem)
    return _key(prefix, "data", type_of(member), folder, archive_stem, member)


def marker_key(prefix: str, folder: str, archive_name: str) -> str:
    """Key of the marker that makes an archive count as stored. Its name is the one on the server."""
    check_path(f"{folder}/{archive_name}" if folder else archive_name)
    return _key(prefix, "archives", folder, f"{archive_name}.json")


def manifest_key(prefix: str, job: str, attempt: int) -> str:
    """Key of the manifest of one attempt."""
    return _key(prefix, "manifests", job, f"{attempt}.jsonl")


def manifest_part_key(prefix: str, job: str, attempt: int, shard: int) -> str:
    """Key of the part of one of the workers that share an attempt."""
    return _key(prefix, "manifests", job, str(attempt), f"{shard}.jsonl")
