"""Compressed streams, whole and not."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import sys
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octo_core.domain.failure import Category
from octo_core.domain.provider import Unpack
from octo_worker.failure import Failed
from octo_worker.layout import Compression
from octo_worker.limits import ExpansionMeter
from octo_worker.stages.expand import STEP, XZ_MEMORY, ZSTD_WINDOW_LOG, expand
from tests.support.samples import COMPRESS, csv, flipped, noise, pieces

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP, BZIP2, XZ, ZSTD = Compression.GZIP, Compression.BZIP2, Compression.XZ, Compression.ZSTD
SKIPPABLE = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"meta"
TABLE = csv(1, 300)
all_of_them = pytest.mark.parametrize("compression", Compression)


def read(compression: Compression, data: bytes, step: int = 1000) -> bytes:
    meter = ExpansionMeter(len(data), Unpack())
    out = list(expand(compression, pieces(data, step), meter))
    assert all(0 < len(chunk) <= STEP for chunk in out)
    assert meter.total == sum(map(len, out))
    return b"".join(out)


def outcome(compression: Compression, data: bytes) -> bytes | Category:
    """What comes out, or the category of the refusal."""
    try:
        return read(compression, data)
    except Failed as error:
        return error.category


def refused(compression: Compression, data: bytes) -> None:
    with pytest.raises(Failed, match=compression) as caught:
        read(compression, data)
    assert caught.value.category is Category.INTEGRITY


@given(
    st.sampled_from(Compression),
    st.lists(st.binary(max_size=3000), min_size=1, max_size=4),
    st.integers(1, 4000),
)
def test_streams_in_a_row(compression: Compression, parts: list[bytes], step: int) -> None:
    data = b"".join(COMPRESS[compression](part) for part in parts)
    assert read(compression, data, step) == b"".join(parts)


@given(st.sampled_from(Compression), st.data())
def test_chunks_cut_anywhere(compression: Compression, draw: st.DataObject) -> None:
    data = COMPRESS[compression](TABLE) + COMPRESS[compression](b"")
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    chunks = [data[start:stop] for start, stop in itertools.pairwise([0, *cuts, len(data)])]
    meter = ExpansionMeter(len(data), Unpack())
    assert b"".join(expand(compression, iter(chunks), meter)) == TABLE


@all_of_them
@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, 5 * STEP])
def test_sizes_around_a_step(compression: Compression, size: int) -> None:
    assert read(compression, COMPRESS[compression](bytes(size)), 1 << 20) == bytes(size)


@given(st.sampled_from(Compression), st.data())
def test_no_cut_stream_ends_well(compression: Compression, draw: st.DataObject) -> None:
    data = COMPRESS[compression](TABLE)
    refused(compression, data[: draw.draw(st.integers(0, len(data) - 1))])


@given(st.sampled_from(Compression), st.data())
@settings(max_examples=400)
def test_a_flipped_bit_is_seen_or_harmless(compression: Compression, draw: st.DataObject) -> None:
    data = COMPRESS[compression](TABLE)
    bit = draw.draw(st.integers(0, 8 * len(data) - 1))
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    assert outcome(compression, bytes(changed)) in (TABLE, Category.INTEGRITY, Category.UNPACK_LIMIT)


@pytest.mark.parametrize(
    ("compression", "start", "stop"),
    [(GZIP, 8, 0), (ZSTD, 4, 0), (BZIP2, 5, 1)],
    ids=["gzip: CRC and length", "zstd", "bzip2: its last byte is padded"],
)
def test_every_byte_of_a_checksum_at_the_end_counts(compression: Compression, start: int, stop: int) -> None:
    data = COMPRESS[compression](TABLE)
    for at in range(len(data) - start, len(data) - stop):
        refused(compression, flipped(data, at))


@all_of_them
def test_what_stands_before_and_after_is_refused(compression: Compression) -> None:
    whole = COMPRESS[compression](TABLE)
    for data in (b"", b"hello", b"\0" * 8, b"\0" + whole, b"x" + whole, whole + b"x", whole + b"trailing" * 100):
        refused(compression, data)


@given(st.integers(0, 20), st.booleans())
def test_gzip_may_be_padded_with_zeros(padding: int, more: bool) -> None:
    data = gzip.compress(TABLE) + bytes(padding) + (gzip.compress(b"more") if more else b"")
    assert read(GZIP, data, 7) == TABLE + (b"more" if more else b"")
    refused(GZIP, data + b"\0x")


@given(st.integers(0, 20), st.booleans())
def test_xz_may_be_padded_by_fours(padding: int, more: bool) -> None:
    data = lzma.compress(TABLE) + bytes(padding) + (lzma.compress(b"more") if more else b"")
    if padding % 4:
        refused(XZ, data)
    else:
        assert read(XZ, data, 7) == TABLE + (b"more" if more else b"")


def test_other_padding_is_refused() -> None:
    refused(BZIP2, bz2.compress(TABLE) + bytes(4))
    refused(ZSTD, zstd.compress(TABLE) + bytes(4))


def test_skippable_frames() -> None:
    frame = zstd.compress(TABLE)
    assert read(ZSTD, SKIPPABLE + frame + SKIPPABLE + frame + SKIPPABLE, 7) == 2 * TABLE
    refused(ZSTD, SKIPPABLE + frame + SKIPPABLE[:-1])


@pytest.mark.parametrize("check", [lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256])
def test_the_checks_of_xz(check: int) -> None:
    # Stored as it is, so that a flipped bit leaves a stream that can be read.
    data = lzma.compress(noise(1, 4000), check=check)
    assert read(XZ, data) == noise(1, 4000)
    refused(XZ, flipped(data, 2000))


def test_what_asks_for_too_much_memory_is_refused() -> None:
    def dictionary(size: int) -> bytes:
        return lzma.compress(TABLE, filters=[{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": size}])

    def window(log: int) -> bytes:
        compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
        return compressor.compress(TABLE) + compressor.flush()

    assert read(XZ, dictionary(64 << 20)) == TABLE, "xz -9"
    assert read(ZSTD, window(ZSTD_WINDOW_LOG)) == TABLE
    for compression, data, limit in (
        (XZ, dictionary(XZ_MEMORY), "80 MiB of memory"),
        (ZSTD, window(ZSTD_WINDOW_LOG + 1), "a window of 32 MiB"),
    ):
        with pytest.raises(Failed, match=limit) as caught:
            read(compression, data)
        assert caught.value.category is Category.UNPACK_LIMIT


def bomb(compression: Compression) -> Iterator[bytes]:
    """2 GiB of zeros or more, made as they are asked for."""
    once = COMPRESS[compression](bytes(64 << 20))
    return itertools.repeat(once, 32)


@all_of_them
def test_bombs_stop_at_the_limit_in_little_memory(compression: Compression) -> None:
    chunks = bomb(compression)
    meter = ExpansionMeter(1000, Unpack())
    tracemalloc.start()
    try:
        with pytest.raises(Failed, match=r"unpack\.maxRatio") as caught:
            for _ in expand(compression, chunks, meter):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.category is Category.UNPACK_LIMIT
    assert meter.total <= (64 << 20) + STEP
    assert peak < 8 * STEP


@all_of_them
def test_many_empty_streams_in_one_chunk(compression: Compression) -> None:
    empty = COMPRESS[compression](b"")
    data = empty * (200_000 // len(empty)) + COMPRESS[compression](TABLE)
    assert read(compression, data, len(data)) == TABLE


@all_of_them
def test_is_read_chunk_by_chunk(compression: Compression) -> None:
    source = io.BytesIO(COMPRESS[compression](noise(1, 4 << 20)))
    size = len(source.getvalue())
    stream = expand(compression, iter(lambda: source.read(64 << 10), b""), ExpansionMeter(size, Unpack()))
    next(stream)
    assert source.tell() <= size // 3, "bzip2's blocks are of 900 kB"
