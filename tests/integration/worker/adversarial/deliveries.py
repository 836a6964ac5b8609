"""Builds one file in any of the forms that providers send, layer by layer, so that each layer can be damaged."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass

from octo_worker.layout import Compression
from tests.support.pgp import PgpKey
from tests.support.samples import COMPRESS, tar, zipped

SEED = int(os.environ.get("OCTO_SEED", "0"))
"""Where the seeds of this round begin."""
LONG = os.environ.get("OCTO_LONG") == "1"
"""Whether to take the time for many more seeds than each commit is tested with."""

Layer = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file as a provider sends it, and the objects that Octo makes of it if it is whole."""

    name: str
    data: bytes
    objects: dict[str, bytes]
    """By their keys below ``data``."""


def split(content: bytes) -> dict[str, bytes]:
    """The members that an archive of the content has."""
    half = len(content) // 2
    return {"one.csv": content[:half], "deep/two.xml": content[half:]}


def layers(key: PgpKey) -> dict[str, Layer]:
    """Every layer by its ending. The first of a file's endings is the innermost."""
    return {
        "tar": lambda content: tar(split(content)),
        "zip": lambda content: zipped(split(content)),
        "gz": lambda content: gzip.compress(content, 1),
        "bz2": COMPRESS[Compression.BZIP2],
        "xz": COMPRESS[Compression.XZ],
        "zst": COMPRESS[Compression.ZSTD],
        # -z 0: what is damaged should be what the layers made, not gpg's own compression of it.
        "gpg": lambda content: key.encrypt(content, "-z", "0"),
        "asc": lambda content: key.encrypt(content, "-z", "0", "--armor"),
    }


def deliver(
    stem: str, endings: str, content: bytes, key: PgpKey, *, damage: Layer | None = None, after: str | None = None
) -> Delivery:
    """``deliver("a", "tar.gz.gpg", …)``. Damage is done right after the layer ``after``, by default the last."""
    known, names = layers(key), endings.split(".")
    data = content
    for name in names:
        if name in known:
            data = known[name](data)
        if damage is not None and name == (after or names[-1]):
            data = damage(data)
    if "tar" in names or "zip" in names:
        objects = {f"csv/{stem}/one.csv": split(content)["one.csv"]}
        objects[f"xml/{stem}/deep/two.xml"] = split(content)["deep/two.xml"]
    else:
        objects = {f"{names[0]}/{stem}.{names[0]}": content}
    return Delivery(f"{stem}.{endings}", data, objects)


def apart(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files under names of which no two lead to one key."""
    return {f"{number}-{name}": data for number, (name, data) in enumerate(files.items())}
