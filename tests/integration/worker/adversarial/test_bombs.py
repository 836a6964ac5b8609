"""Archives and compressed files made to harm: far larger than they look, or with members that reach out."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from octo_core.domain.failure import Category
from octo_worker.layout import Compression
from tests.integration.worker.adversarial.deliveries import apart
from tests.integration.worker.adversarial.verdict import assert_only
from tests.integration.worker.conftest import Ended, WorkerPod
from tests.support.pgp import PgpKey
from tests.support.samples import COMPRESS, csv, noise, tar, tar_gz, zipped
from tests.support.sftp import Inbox

LIMIT = {Category.UNPACK_LIMIT}
DAMAGED = {Category.INTEGRITY}
REFUSED = {Category.INTEGRITY, Category.UNPACK_LIMIT}
BAD_NAME = {Category.INTEGRITY, Category.CONFIG}
PEAK_MIB = 260
"""Of the worker's own process: the interpreter, what archives may hold, and as much again for four files' buffers.
It is less than what these bombs come to if one is still held when the next is read."""
EXPANDED = 150 << 20


def test_bombs_stop_at_the_bytes_allowed(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    zeros = bytes(EXPANDED)
    small = gzip.compress(zeros, 9)
    bombs = apart(
        {
            "one.csv.gz": small,
            "one.csv.bz2": bz2.compress(zeros),
            "one.csv.xz": lzma.compress(zeros, preset=0),
            "one.csv.zst": COMPRESS[Compression.ZSTD](zeros),
            "packet.csv.gpg": pgp_key.encrypt(zeros),
            "in-message.csv.gz.gpg": pgp_key.encrypt(small, "-z", "0"),
            "twice.csv.gz.gpg": pgp_key.encrypt(small),
            "member.tar.gz": tar_gz({"a.csv": b"1", "zeros.csv": zeros}),
            "member.tar.xz": lzma.compress(tar({"zeros.csv": zeros}), preset=0),
            "member.zip": zipped({"a.csv": b"1", "zeros.csv": zeros}),
            "sum.zip": zipped({f"{n}.csv": zeros[: EXPANDED // 8] for n in range(8)}),
            "sum.tar.gz": tar_gz({f"{n}.csv": zeros[: EXPANDED // 8] for n in range(8)}),
            "members.csv.gz": gzip.compress(zeros[: EXPANDED // 8]) * 8,
            "understated.zip": _understated(zipped({"a.csv": zeros}), EXPANDED),
        }
    )
    for name, data in bombs.items():
        inbox.put(name, data)
    inbox.put("below.csv.gz", gzip.compress(zeros[: 30 << 20]))
    pod.document["unpack"] = {"maxExpandedBytes": 40 << 20, "maxRatio": 100_000}

    with peak_memory(pod) as peak:
        ended = _run(pod, peak)

    bad = {name: REFUSED if "understated" in name else LIMIT for name in bombs}
    assert_only(pod, ended, {"csv/below.csv": zeros[: 30 << 20]}, bad)
    assert peak.mib < PEAK_MIB


def test_bombs_stop_at_the_ratio_allowed(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    zeros = bytes(EXPANDED)
    bombs = apart(
        {
            "one.csv.gz": gzip.compress(zeros, 9),
            "one.csv.xz": lzma.compress(zeros, preset=0),
            "one.csv.zst": COMPRESS[Compression.ZSTD](zeros),
            "packet.csv.gpg": pgp_key.encrypt(zeros),
            "member.zip": zipped({"zeros.csv": zeros}),
            "member.tar.bz2": bz2.compress(tar({"zeros.csv": zeros})),
        }
    )
    for name, data in bombs.items():
        inbox.put(name, data)
    inbox.put("free.csv.gz", gzip.compress(zeros[: 60 << 20]))
    pod.document["unpack"] = {"maxRatio": 10}

    assert_only(pod, pod.run(), {"csv/free.csv": zeros[: 60 << 20]}, dict.fromkeys(bombs, LIMIT))


def test_what_only_claims_to_be_huge_takes_no_memory(pod: WorkerPod, inbox: Inbox) -> None:
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    records = tarfile.TarInfo("pax")
    records.type, records.size = tarfile.XHDTYPE, 1 << 33
    whole = zipped({"a.csv": b"1"})
    claims = {
        "dictionary.csv.xz": _with_dictionary_of_4_gib(lzma.compress(csv(1, 50))),
        "window.csv.zst": _with_window_of_2_gib(csv(1, 50)),
        "name.tar.gz": gzip.compress(name.tobuf() + bytes(100 << 20)),
        "records.tar.gz": gzip.compress(records.tobuf() + bytes(100 << 20)),
        "negative.tar": _with_size_field(b"\xff" * 12),
        "no-number.tar": _with_size_field(b"zzzzzzzzzzz\0"),
        "directory-far-away.zip": whole[:-6] + struct.pack("<I", 0xFFFFFFF0) + whole[-2:],
        "directory-huge.zip": whole[:-10] + struct.pack("<I", 0xFFFFFFF0) + whole[-6:],
    }
    for file, data in claims.items():
        inbox.put(file, data)

    with peak_memory(pod) as peak:
        ended = _run(pod, peak)

    assert_only(pod, ended, {}, dict.fromkeys(claims, REFUSED))
    assert peak.mib < PEAK_MIB


def test_too_many_members_and_names_too_long_or_deep(pod: WorkerPod, inbox: Inbox) -> None:
    many = {f"{n}.csv": b"" for n in range(21)}
    deep, long = "d/" * 5 + "a.csv", "n" * 97 + ".csv"
    bad = apart(
        {
            "many.tar.gz": tar_gz(many),
            "many.zip": zipped(many),
            "many-folders.tar": _tar_of(*(_info(f"{n}", tarfile.DIRTYPE) for n in range(21))),
            "deep.tar": tar({deep: b"1"}),
            "deep.zip": zipped({deep: b"1"}),
            "long.tar": tar({long: b"1"}),
            "long.zip": zipped({long: b"1"}),
        }
    )
    for name, data in bad.items():
        inbox.put(name, data)
    fits = {"d/" * 4 + "a.csv": b"1", "n" * 96 + ".csv": b"2"} | {f"{n}.csv": b"" for n in range(18)}
    inbox.put("fits.tar.gz", tar_gz(fits))
    inbox.put("fits-too.zip", zipped(fits))
    pod.document["unpack"] = {"maxEntries": 20, "maxDepth": 4, "maxNameBytes": 100}

    good = {f"csv/{stem}/{name}": data for stem in ("fits", "fits-too") for name, data in fits.items()}
    assert_only(pod, pod.run(), good, dict.fromkeys(bad, LIMIT))


def test_archives_in_archives_are_stored_as_they_are(pod: WorkerPod, inbox: Inbox) -> None:
    members = {
        "inner.zip": zipped({"../evil.csv": b"1"}),
        "inner.tar.gz": tar_gz({"/etc/evil.csv": b"1"}),
        "inner.csv.gz": gzip.compress(b"1"),
        "inner.csv.gpg": b"not even a message",
        "bomb.csv.xz": lzma.compress(bytes(1 << 20)),
    }
    inbox.put("outer.tar.gz", tar_gz(members))
    inbox.put("outer-too.zip", zipped(members))

    good = {f"other/{stem}/{name}": data for stem in ("outer", "outer-too") for name, data in members.items()}
    assert_only(pod, pod.run(), good, {})


SLIPS = (
    "../evil.csv",
    "a/../../evil.csv",
    "a/../evil.csv",
    "/evil.csv",
    "//evil.csv",
    "..",
    "a/..",
    "a//evil.csv",
    "a/./evil.csv",
    "..\\evil.csv",
    "a\\..\\..\\evil.csv",
    "C:\\evil.csv",
    "line\nfeed.csv",
    "bell\x07.csv",
    "delete\x7f.csv",
    "next\x85line.csv",
)


def test_members_whose_names_reach_out(pod: WorkerPod, inbox: Inbox) -> None:
    bad: dict[str, set[Category]] = {}
    for number, slip in enumerate(SLIPS):
        members = {"good.csv": b"1", slip: b"evil", "more.csv": b"2"}
        inbox.put(f"tar-{number}.tar.gz", tar_gz(members))
        inbox.put(f"zip-{number}.zip", zipped(members))
        bad |= {f"tar-{number}.tar.gz": BAD_NAME, f"zip-{number}.zip": BAD_NAME}
    latin = tar({"good.csv": b"1", "latin-X.csv": b"2"})
    inbox.put("latin.tar", _header_edited(latin, b"latin-X", b"latin-\xe9"))
    inbox.put("latin-too.zip", _latin(zipped({"good.csv": b"1", "latin-X.csv": b"2"})))
    inbox.put("twice.tar", _tar_of(_info("a.csv"), _info("b.csv"), _info("a.csv")))
    inbox.put("twice-dotted.tar", _tar_of(_info("a.csv"), _info("./a.csv")))
    inbox.put("twice-too.zip", zipped({"a.csv": b"1", "b.csv": b"2"}).replace(b"b.csv", b"a.csv"))
    bad |= dict.fromkeys(("latin.tar", "latin-too.zip", "twice.tar", "twice-dotted.tar", "twice-too.zip"), BAD_NAME)
    inbox.put("folders.tar", _tar_of(_info("./", tarfile.DIRTYPE), _info("./a/", tarfile.DIRTYPE), _info("./a/b.csv")))
    inbox.put("folders-too.zip", zipped({"a/": b"", "a/b.csv": b""}))

    good = {"csv/folders/a/b.csv": b"", "csv/folders-too/a/b.csv": b""}
    assert_only(pod, pod.run(), good, bad)
    assert [key for key in pod.bucket.objects() if "evil" in key] == []


def test_members_that_are_no_files(pod: WorkerPod, inbox: Inbox) -> None:
    kinds = {
        "symlink": tarfile.SYMTYPE,
        "hardlink": tarfile.LNKTYPE,
        "character": tarfile.CHRTYPE,
        "block": tarfile.BLKTYPE,
        "fifo": tarfile.FIFOTYPE,
        "sparse": tarfile.GNUTYPE_SPARSE,
        "unknown": b"Z",
    }
    archives = {f"{kind}.tar": _tar_of(_info("good.csv"), _info("evil", code)) for kind, code in kinds.items()}
    first = {kind: _tar_of(_info("evil", code), _info("good.csv")) for kind, code in kinds.items()}
    archives |= {f"{kind}-first.tar.gz": gzip.compress(data) for kind, data in first.items()}
    # A fifo is none of them: so Info-ZIP calls what it has read from a pipe, and the data is all there.
    modes = {"symlink": stat.S_IFLNK, "character": stat.S_IFCHR, "block": stat.S_IFBLK, "socket": stat.S_IFSOCK}
    archives |= {f"{kind}.zip": _zip_with_mode(mode) for kind, mode in modes.items()}
    archives = apart(archives)
    for name, data in archives.items():
        inbox.put(name, data)

    assert_only(pod, pod.run(), {}, dict.fromkeys(archives, DAMAGED))


def test_zips_that_lie(pod: WorkerPod, inbox: Inbox) -> None:
    members = {"a.csv": csv(1, 100), "b.csv": csv(2, 100)}
    whole = zipped(members)
    directory, second = whole.index(b"PK\1\2"), whole.index(b"PK\1\2", whole.index(b"PK\1\2") + 1)
    twice_same_data = whole[: second + 42] + bytes(4) + whole[second + 46 :]
    lies = {
        "encrypted": _or_byte(_or_byte(whole, 6, 1), directory + 8, 1),
        "encrypted-locally": _or_byte(whole, 6, 1),
        "strongly-encrypted": _or_byte(_or_byte(whole, 6, 0x41), directory + 8, 0x41),
        "other-name-locally": whole.replace(b"a.csv", b"x.csv", 1),
        "other-name-in-directory": whole[:directory] + whole[directory:].replace(b"a.csv", b"x.csv", 1),
        "other-method": _set(_set(whole, 8, b"\x62\0"), directory + 10, b"\x62\0"),
        "stored-not-deflated": _set(_set(whole, 8, b"\0\0"), directory + 10, b"\0\0"),
        "other-crc": _set(_set(whole, 14, b"\1\2\3\4"), directory + 16, b"\1\2\3\4"),
        "other-crc-in-directory": _set(whole, directory + 16, b"\1\2\3\4"),
        "smaller": _understated(whole, len(members["a.csv"])),
        "one-data-for-two": twice_same_data,
        "garbage-before": b"MZ" + noise(1, 500) + whole,
        "garbage-after": whole + noise(2, 500),
        "garbage-between": whole[:directory] + noise(3, 100) + whole[directory:],
        "two-zips": whole + zipped({"c.csv": b"3"}),
        "entries-understated": _set(_set(whole, len(whole) - 14, b"\1\0"), len(whole) - 12, b"\1\0"),
    }
    for name, data in lies.items():
        inbox.put(f"{name}.zip", data)
    inbox.put("streamed.zip", _streamed(members))
    inbox.put("plain.zip", zipped(members, zipfile.ZIP_STORED))

    good = {f"csv/{stem}/{name}": data for stem in ("streamed", "plain") for name, data in members.items()}
    assert_only(pod, pod.run(), good, {f"{name}.zip": DAMAGED for name in lies})


class Peak:
    """The most memory that a worker had at once."""

    mib = 0.0

    def __init__(self) -> None:
        self.done = threading.Event()
        self.pid: int | None = None

    def watch(self) -> None:
        """Read the kernel's own high-water mark, again and again, as it is gone with the process."""
        while not self.done.wait(0.02):
            if self.pid is None:
                continue
            try:
                status = Path(f"/proc/{self.pid}/status").read_text()
            except OSError:
                continue
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    self.mib = max(self.mib, int(line.split()[1]) / 1024)


@contextmanager
def peak_memory(pod: WorkerPod) -> Iterator[Peak]:
    """Watches the memory of the worker that is started meanwhile."""
    peak = Peak()
    thread = threading.Thread(target=peak.watch)
    thread.start()
    try:
        yield peak
    finally:
        peak.done.set()
        thread.join()
    assert peak.mib > 0


def _run(pod: WorkerPod, peak: Peak) -> Ended:
    process = pod.start()
    peak.pid = process.pid
    return pod.end(process, timeout=120)


def _info(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = "/etc/passwd"
    return info


def _tar_of(*infos: tarfile.TarInfo) -> bytes:
    return b"".join(info.tobuf(tarfile.GNU_FORMAT) for info in infos) + bytes(1024)


def _header_edited(data: bytes, old: bytes, new: bytes) -> bytes:
    at = data.index(old) // 512 * 512
    block = bytearray(data[at : at + 512].replace(old, new))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:at] + bytes(block) + data[at + 512 :]


def _with_size_field(field: bytes) -> bytes:
    block = _info("a.csv").tobuf(tarfile.GNU_FORMAT)
    return _header_edited(block[:124] + field + block[136:], field, field) + bytes(1024)


def _latin(data: bytes) -> bytes:
    """With the flag that says that names are UTF-8, which that name then is not."""
    out = bytearray(data.replace(b"latin-X", b"latin-\xe9"))
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := out.find(mark, at + 1)) >= 0:
            out[at + flags + 1] |= 8
    return bytes(out)


def _zip_with_mode(mode: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("good.csv", b"1")
        info = zipfile.ZipInfo("evil")
        info.create_system = 3
        info.external_attr = (mode | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")
    return out.getvalue()


class _Pipe(io.RawIOBase):
    """Cannot seek, so that a zip is written with its sizes after each member."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += bytes(data)
        return len(bytes(data))


def _streamed(members: dict[str, bytes]) -> bytes:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return bytes(pipe.written)


def _understated(data: bytes, size: int) -> bytes:
    """A zip whose headers say that a member is smaller than it is."""
    return data.replace(struct.pack("<I", size), struct.pack("<I", 3))


def _set(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _or_byte(data: bytes, at: int, bits: int) -> bytes:
    return _set(data, at, bytes([data[at] | bits]))


def _with_dictionary_of_4_gib(data: bytes) -> bytes:
    """An xz file whose first block asks for the largest dictionary there is."""
    header = bytearray(data[12 : 12 + (data[12] + 1) * 4])
    at = header.index(b"\x21\x01") + 2  # LZMA2, with one byte of properties
    header[at] = 40
    header[-4:] = struct.pack("<I", zlib.crc32(header[:-4]))
    return data[:12] + bytes(header) + data[12 + len(header) :]


def _with_window_of_2_gib(data: bytes) -> bytes:
    """A zstd frame of one raw block, whose header says that anything in the last 2 GiB may be referred to."""
    block = struct.pack("<I", len(data) << 3 | 1)[:3]
    return b"\x28\xb5\x2f\xfd" + b"\0" + bytes([(31 - 10) << 3]) + block + data
