"""Files cut short at each layer, at the places where a reader might take the rest for a whole."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from octo_core.domain.failure import Category
from tests.integration.worker.adversarial.deliveries import Delivery, deliver, split
from tests.integration.worker.adversarial.verdict import assert_only
from tests.integration.worker.conftest import WorkerPod
from tests.support.pgp import PgpKey
from tests.support.samples import csv, noise, zipped
from tests.support.sftp import Inbox

DAMAGED = {Category.INTEGRITY}
UNREADABLE = {Category.INTEGRITY, Category.DECRYPT}
"""Of an OpenPGP message too little may be left to be known for one."""
CONTENT = csv(1, 300) + noise(2, 9000)

# For each form: bytes that the end is made of. One less than whole, one into the part before, and so on.
ENDS = {
    "csv.gpg": (1, 20, 21, 22, 23, 500),  # the packet with the modification detection code has 22
    "csv.asc": (36, 60, 500),  # what comes after the last line is armor alone, and none of the message
    "csv.gz": (1, 4, 5, 8, 9, 500),  # length, CRC
    "csv.bz2": (1, 4, 10, 11, 500),  # CRC, magic
    "csv.xz": (1, 2, 4, 12, 13, 24, 28, 32, 500),  # footer, index, padding, check of the block
    "csv.zst": (1, 4, 5, 500),  # checksum of the content, last block
    "zip": (1, 21, 22, 23, 60, 500),  # end record, central directory
    "tar.gz": (1, 8, 9, 200),
    "csv.gz.gpg": (1, 22, 23, 500),
    "zip.gpg": (1, 22, 23, 500),
}
STARTS = (0, 1, 3, 10, 40, 1000)


def test_a_file_cut_short_is_refused(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    good: dict[str, bytes] = {}
    bad: dict[str, set[Category]] = {}
    for form, ends in ENDS.items():
        whole = deliver(f"whole-{form.replace('.', '-')}", form, CONTENT, pgp_key)
        inbox.put(whole.name, whole.data)
        good |= whole.objects
        for kept in [*STARTS, *(len(whole.data) - end for end in ends)]:
            name = f"{form.replace('.', '-')}-cut-{kept}.{form}"
            inbox.put(name, whole.data[:kept])
            bad[name] = UNREADABLE if "gpg" in form or "asc" in form else DAMAGED

    ended = pod.run()

    assert_only(pod, ended, good, bad)
    pod.document["transfer"] = {"onFileError": "SkipFile"}
    again = pod.run(attempt=2)
    assert (again.code, again.outcome.reason) == (0, "CompletedWithSkips")
    assert again.outcome.progress.files_failed == len(bad)


def test_a_layer_cut_short_inside_whole_ones_is_refused(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    cuts: list[tuple[str, str, Callable[[bytes], bytes]]] = [
        ("gz", "csv.gz.gpg", _less(1)),
        ("gz", "csv.gz.gpg", _less(9)),
        ("gz", "csv.gz.gpg", _nothing),
        ("bz2", "csv.bz2.gpg", _less(5)),
        ("xz", "csv.xz.gpg", _less(12)),
        ("zst", "csv.zst.gpg", _less(4)),
        ("zip", "zip.gpg", _less(22)),
        ("zip", "zip.gpg", _nothing),
        ("tar", "tar.gz.gpg", _less(5000)),
        ("tar", "tar.gz", _less(5000)),
        ("tar", "tar.bz2", _less(5000)),
        ("tar", "tar.xz", _less(5000)),
        ("tar", "tar.zst", _less(5000)),
        ("gz", "tar.gz.gpg", _less(4)),
        ("tar", "tar.gz", _nothing),
        ("gz", "tar.gz", _nothing),
        ("gpg", "tar.gz.gpg", _less(22)),
    ]
    whole = deliver("whole", "tar.gz.gpg", CONTENT, pgp_key)
    inbox.put(whole.name, whole.data)
    bad: dict[str, set[Category]] = {}
    for number, (layer, form, cut) in enumerate(cuts):
        delivery = deliver(f"cut-{number}", form, CONTENT, pgp_key, damage=cut, after=layer)
        inbox.put(delivery.name, delivery.data)
        bad[delivery.name] = DAMAGED

    assert_only(pod, pod.run(), whole.objects, bad)


def test_a_tar_must_have_its_end_mark(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    whole = deliver("whole", "tar", CONTENT, pgp_key)
    first, second = (-(-len(data) // 512) * 512 for data in split(CONTENT).values())
    end = 512 + first + 512 + second
    assert whole.data[end:].strip(b"\0") == b""
    inbox.put(whole.name, whole.data)
    bad: dict[str, set[Category]] = {}
    kept = (
        0,
        1,
        511,
        512,
        513,
        512 + first - 1,
        512 + first,
        512 + first + 1,
        512 + first + 512,
        end - 1,
        end,
        end + 1,
    )
    for length in kept:
        for form in ("tar", "tar.gz"):
            cut = deliver(f"kept-{length}", form, CONTENT, pgp_key, damage=lambda data: data[:length], after="tar")  # noqa: B023
            inbox.put(f"{form.replace('.', '-')}-{cut.name}", cut.data)
            bad[f"{form.replace('.', '-')}-{cut.name}"] = DAMAGED
    # Some writers leave out the padding after the mark's two blocks.
    short = deliver("short", "tar", CONTENT, pgp_key, damage=lambda data: data[: end + 1024])
    inbox.put(short.name, short.data)

    assert_only(pod, pod.run(), whole.objects | short.objects, bad)


def test_a_zip_must_have_all_of_its_directory(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    whole = deliver("whole", "zip", CONTENT, pgp_key)
    inbox.put(whole.name, whole.data)
    directory = whole.data.index(b"PK\1\2")
    second = whole.data.index(b"PK\1\2", directory + 1)
    record = whole.data.index(b"PK\5\6")
    one_less = whole.data[record : record + 8] + struct.pack("<HHII", 1, 1, second - directory, directory) + b"\0\0"
    broken = {
        "no-directory": whole.data[:directory],
        "in-directory": whole.data[: directory + 20],
        "between-entries": whole.data[:second],
        "no-end-record": whole.data[:record],
        "end-record-alone": whole.data[record:],
        "entry-missing": whole.data[:second] + one_less,
        "entry-hidden": whole.data[:directory] + whole.data[second:record] + one_less,
        "head-lost": whole.data[30:],
        "member-lost": whole.data[whole.data.index(b"PK\3\4", 4) :],
    }
    for name, data in broken.items():
        inbox.put(f"{name}.zip", data)
    assert zipped({}) == whole.data[record : record + 4] + bytes(18)
    inbox.put("empty.zip", zipped({}))

    assert_only(pod, pod.run(), whole.objects, {f"{name}.zip": DAMAGED for name in broken})


@pytest.mark.parametrize("ending", ["gpg", "gz"])
def test_a_large_file_cut_short_leaves_no_upload(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, ending: str) -> None:
    content = noise(3, 24_000_000)
    large = deliver("large", f"csv.{ending}", content, pgp_key)
    small = Delivery("small.csv", b"1,2\n", {"csv/small.csv": b"1,2\n"})
    inbox.put(small.name, small.data)
    for less in (1, 8, 22, 5_000_000):
        inbox.put(f"less-{less}.csv.{ending}", large.data[:-less])

    bad = {f"less-{less}.csv.{ending}": DAMAGED for less in (1, 8, 22, 5_000_000)}
    assert_only(pod, pod.run(), small.objects, bad)


def _less(count: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:-count]


def _nothing(data: bytes) -> bytes:
    return b""
