"""Files as data providers deliver them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator

from octo_worker.layout import Compression

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.GZIP: lambda data: gzip.compress(data, 6, mtime=0),
    Compression.BZIP2: lambda data: bz2.compress(data),
    Compression.XZ: lambda data: lzma.compress(data, preset=1),
    # The library leaves the checksum out by default; the zstd command does not.
    Compression.ZSTD: lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
"""By each compression, with a checksum."""


def csv(seed: int, rows: int = 2000) -> bytes:
    """A table that compresses as real ones do."""
    rng = random.Random(seed)
    lines = (f"{n},{rng.randint(0, 10**9)},EUR,{rng.random():.6f}\n" for n in range(rows))
    return ("id,account,currency,amount\n" + "".join(lines)).encode()


def noise(seed: int, size: int) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def tar(members: dict[str, bytes]) -> bytes:
    """A tar of regular files, under whatever names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tar_gz(members: dict[str, bytes]) -> bytes:
    """The same, compressed."""
    return gzip.compress(tar(members), 1)


def tar_with_link() -> bytes:
    """A tar with a symbolic link after a regular file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("good.csv")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"a,b"))
        link = tarfile.TarInfo("evil")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of regular files, under whatever names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    """The data in chunks of that many bytes."""
    return (data[start : start + step] for start in range(0, len(data), step))


def flipped(data: bytes, at: int) -> bytes:
    """One bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)
