"""One bit of a file is another than the provider sent: the file is refused, or the bit did not matter."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from octo_core.domain.failure import Category
from tests.integration.worker.adversarial.deliveries import LONG, SEED, Delivery, deliver
from tests.integration.worker.adversarial.verdict import assert_sound, failed
from tests.integration.worker.conftest import WorkerPod
from tests.support.pgp import PgpKey
from tests.support.samples import csv, noise
from tests.support.sftp import Inbox

# Each has a checksum over its content; a bare csv, tar or zstd without one could not be told from a good one.
KINDS = (
    "csv.gpg",
    "csv.asc",
    "csv.gz.gpg",
    "tar.gz.gpg",
    "csv.gz",
    "csv.bz2",
    "csv.xz",
    "csv.zst",
    "tar.gz",
    "zip",
    "zip.gpg",
)
SEEDS = 400 if LONG else 20
EDGE = 96
"""Bytes at either end in which every second flip falls: headers and trailers are short, and full of special cases."""
DAMAGE = {Category.INTEGRITY, Category.DECRYPT}
ASKS_FOR_MEMORY = (".csv.xz", ".csv.zst")
"""Their headers say how much memory opening takes, before any checksum: a flipped one may ask for too much."""


def test_a_flipped_bit_is_refused_or_did_not_matter(
    pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, record_property: Callable[[str, object], None]
) -> None:
    flipped: dict[str, Delivery] = {}
    for kind in KINDS:
        content = csv(len(kind), 60) if kind != "zip" else csv(1, 300) + noise(1, 9000)
        whole = deliver("whole", kind, content, pgp_key)
        for seed in range(SEED, SEED + SEEDS):
            stem = f"{kind.replace('.', '-')}-{seed}"
            changed = _flip(whole.data, random.Random(f"{kind} {seed}"))
            objects = {key.replace("whole", stem, 1): data for key, data in whole.objects.items()}
            flipped[stem] = Delivery(f"{stem}.{kind}", changed, objects)
        inbox.put(whole.name.replace("whole", f"whole-{kind.replace('.', '-')}"), whole.data)
    for delivery in flipped.values():
        inbox.put(delivery.name, delivery.data)

    ended = pod.run()

    assert_sound(pod, ended)
    stored, refused = pod.data(), failed(pod)
    counts: Counter[str] = Counter()
    expected: dict[str, bytes] = {}
    for delivery in flipped.values():
        category = refused.pop(delivery.name, None)
        counts["harmless" if category is None else category.value] += 1
        if category is None:
            expected |= delivery.objects
        else:
            too_much = category is Category.UNPACK_LIMIT and delivery.name.endswith(ASKS_FOR_MEMORY)
            assert category in DAMAGE or too_much, (delivery.name, category)
    whole_ones = {key: data for key, data in stored.items() if "/whole-" in key}
    assert len(whole_ones) == len(KINDS) + sum("tar" in kind or "zip" in kind for kind in KINDS)
    assert refused == {}
    assert {key for key in stored if key not in whole_ones} == set(expected)
    assert {key for key, data in expected.items() if stored[key] != data} == set()
    assert counts["harmless"] < 0.1 * len(flipped), counts
    record_property("flips", dict(counts))


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    if rng.random() < 0.5:
        near = rng.randrange(min(EDGE, len(data)))
        at = near if rng.random() < 0.5 else len(data) - 1 - near
    changed = bytearray(data)
    changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)
