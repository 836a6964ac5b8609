"""Files as data providers deliver them."""

from __future__ import annotations

import gzip
import io
import random
import tarfile


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


def flipped(data: bytes, at: int) -> bytes:
    """One bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)
