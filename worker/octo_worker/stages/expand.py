"""Undoes compression in bounded steps, whatever the data does: gzip, bzip2, xz and zstd."""

from __future__ import annotations

import bz2
import lzma
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor, IsalError

from octo_core.domain.failure import Category
from octo_worker.failure import Failed, MalformedError
from octo_worker.layout import Compression
from octo_worker.limits import ExpansionMeter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STEP = 1 << 20
"""No chunk that is given out is longer."""
SLICE = 64 << 10
"""Input goes in by pieces of this size: what is left of a piece is copied at the end of each stream, and a chunk may
hold thousands of empty streams."""
XZ_MEMORY = 80 << 20
"""`xz -9` asks for 65 MiB. Several files are expanded at once in a small pod."""
ZSTD_WINDOW_LOG = 25
"""32 MiB; `zstd -19` asks for 8 MiB, `--ultra -22` and `--long` for 128 MiB."""


class _Stream(Protocol):
    """One compressed stream, as the standard library's decompressors have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Codec:
    open: Callable[[], _Stream]
    errors: tuple[type[Exception], ...]
    too_large: str = ""
    """A part of the error's text that tells of a stream that asks for too much memory."""
    limit: str = ""
    padding: int = 0
    """Zeros may follow a stream by multiples of this many bytes; 0 if none may."""


_CODECS = {
    # Tapes and some mainframe transfers pad gzip with zeros, which gzip itself lets pass.
    Compression.GZIP: _Codec(
        lambda: cast(_Stream, IgzipDecompressor(flag=DECOMP_GZIP)),
        (cast(type[Exception], IsalError),),  # its stub declares an instance
        padding=1,
    ),
    Compression.BZIP2: _Codec(bz2.BZ2Decompressor, (OSError, ValueError)),
    Compression.XZ: _Codec(
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY),
        (lzma.LZMAError,),
        too_large="Memory usage limit",
        limit=f"{XZ_MEMORY >> 20} MiB of memory",
        padding=4,
    ),
    Compression.ZSTD: _Codec(
        lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}),
        (zstd.ZstdError,),
        too_large="too much memory",
        limit=f"a window of {1 << ZSTD_WINDOW_LOG >> 20} MiB",
    ),
}


def expand(compression: Compression, chunks: Iterator[bytes], meter: ExpansionMeter) -> Iterator[bytes]:
    """The expanded bytes of all streams that follow one another in ``chunks``, counted by ``meter``.

    Ends well only if ``chunks`` did, at the end of a stream whose checksum, where it has one, is right. gzip, bzip2
    and, unless told otherwise, xz always have one; zstd has it unless its writer left it out.
    """
    codec = _CODECS[compression]
    stream: _Stream | None = None
    seen, padding = False, 0
    for piece in _slices(chunks):
        data: bytes | memoryview = piece
        while True:
            if stream is None:
                if seen and codec.padding:
                    length = len(data)
                    data = bytes(data).lstrip(b"\0")
                    padding += length - len(data)
                if not data:
                    break
                if padding % (codec.padding or 1):
                    raise MalformedError(f"{compression}: the padding after the stream is malformed")
                stream, seen, padding = codec.open(), True, 0
            out = _step(compression, codec, stream, data)
            if out:
                meter.add(len(out))
                yield out
            if stream.eof:
                data, stream = stream.unused_data, None
            elif stream.needs_input:
                break
            else:
                data = b""
    if stream is not None or not seen:
        raise MalformedError(f"{compression}: the data ends before the stream does")
    if padding % (codec.padding or 1):
        raise MalformedError(f"{compression}: the padding after the stream is malformed")


def _step(compression: Compression, codec: _Codec, stream: _Stream, data: bytes | memoryview) -> bytes:
    try:
        return stream.decompress(data, STEP)
    except codec.errors as error:
        if codec.too_large and codec.too_large in str(error):
            raise Failed(Category.UNPACK_LIMIT, f"{compression}: the data asks for more than {codec.limit}") from error
        raise MalformedError(f"{compression}: {error}") from error


def _slices(chunks: Iterator[bytes]) -> Iterator[memoryview]:
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), SLICE):
            yield view[start : start + SLICE]
