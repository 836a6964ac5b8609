"""Workers that are told to stop, or are killed, at moments of chance; whatever was left, reruns end with every file.

Each round starts on an empty bucket: three attempts are struck down, a fourth goes through.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.report import FileOutcome
from tests.integration.worker.adversarial.deliveries import LONG, SEED, deliver
from tests.integration.worker.adversarial.processes import gpg_of
from tests.integration.worker.adversarial.verdict import assert_only, assert_told_truly
from tests.integration.worker.conftest import PREFIX, Ended, WorkerPod, wait_until
from tests.support.pgp import PgpKey, remove_ring
from tests.support.samples import csv, flipped, noise
from tests.support.sftp import Inbox

KILLS = 10
"""In each test."""
SEEDS = 60 if LONG else 5
BAD = {"bad.csv.gpg": {Category.INTEGRITY}}


@pytest.fixture
def good(inbox: Inbox, pgp_key: PgpKey) -> dict[str, bytes]:
    """Files of every size and kind, one that is damaged, and the objects of the others."""
    contents = [
        ("large", "csv.gz.gpg", csv(1, 110_000) * 11),
        ("wide", "pdf", noise(2, 11 << 20)),
        ("pack", "tar.gz", noise(3, 10 << 20)),
        ("pair", "zip", csv(4) + noise(4, 100_000)),
        *((f"small-{n}", "csv.gpg", csv(n, 50)) for n in range(4)),
        *((f"plain-{n}", "xml", csv(n, 5)) for n in range(8)),
    ]
    objects: dict[str, bytes] = {}
    for stem, form, content in contents:
        delivery = deliver(stem, form, content, pgp_key)
        inbox.put(delivery.name, delivery.data)
        objects |= delivery.objects
    inbox.put("bad.csv.gpg", flipped(pgp_key.encrypt(noise(5, 12 << 20), "-z", "0"), 9 << 20))
    return objects


@dataclass(slots=True)
class Attempts:
    """The attempts of one run, or of several that follow one another."""

    pod: WorkerPod
    same_run: bool
    number: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        """The next attempt: of the same run, or the first of another run."""
        self.number += 1
        name = "nightly" if self.same_run else f"nightly-{self.number}"
        attempt = self.number if self.same_run else 1
        self.pod.document["job"] |= {"name": name, "uid": f"uid-{name}", "attempt": attempt}
        return self.pod.start()

    def end(self, process: subprocess.Popen[bytes]) -> Ended:
        """Wait until it has ended, one way or the other."""
        return self.pod.end(process, timeout=120)

    @property
    def attempt(self) -> int:
        """Number of the last attempt within its run."""
        return self.number if self.same_run else 1


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(SEED, SEED + SEEDS))
def test_killed_at_any_moment_and_run_again(
    pod: WorkerPod, good: dict[str, bytes], seed: int, record_property: Callable[[str, object], None]
) -> None:
    rng = random.Random(seed)
    pod.killed = True
    started = time.monotonic()
    ended = pod.run()
    whole = time.monotonic() - started
    assert_only(pod, ended, good, BAD)
    kills: list[tuple[str, float]] = []
    while len(kills) < KILLS:
        empty_bucket(pod)
        attempts = Attempts(pod, same_run=rng.random() < 0.5)
        for _ in range(3):
            number = rng.choice([signal.SIGTERM, signal.SIGKILL])
            moment = rng.random() * whole
            stale = uploads(pod)
            process = attempts.start()
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                kills.append((number.name, round(moment, 2)))
            struck(attempts, attempts.end(process), number, good, stale)
        ended = attempts.end(attempts.start())
        assert_only(pod, ended, good, BAD, attempt=attempts.attempt)
        if attempts.same_run:
            told = [row.key for row in pod.manifest(attempts.attempt) if row.outcome is not FileOutcome.FAILED]
            assert sorted(key or "" for key in told) == sorted(f"{PREFIX}/data/{key}" for key in good)
    record_property("kills", kills)


def struck(attempts: Attempts, ended: Ended, number: signal.Signals, good: dict[str, bytes], stale: set[str]) -> None:
    """What must hold right after an attempt was ended, before any other clears up after it."""
    pod = attempts.pod
    memory = pod.folder / "m"
    visible = pod.data()
    assert {key for key, data in visible.items() if good.get(key) != data} == set()
    if number is signal.SIGTERM:
        # Told before it had begun to listen, it ends by the signal, and has nothing to clear away.
        assert ended.code in (50, 34, -signal.SIGTERM), ended.log
        assert uploads(pod) <= stale, ended.log
        assert list(memory.iterdir()) == []
        assert gpg_of(memory) == []
        if ended.code >= 0:
            assert_told_truly(pod, ended, attempts.attempt)
    else:
        wait_until(lambda: set(gpg_of(memory)) <= {"gpg-agent"})
        # The agent ends by itself once the pod's memory volume is gone, also where no container takes it along.
        for ring in memory.iterdir():
            remove_ring(ring)
        wait_until(lambda: gpg_of(memory) == [])


def uploads(pod: WorkerPod) -> set[str]:
    """The multipart uploads that are open."""
    return {found.upload_id for found in pod.bucket.server.client._list_multipart_uploads(pod.bucket.name).uploads}


def empty_bucket(pod: WorkerPod) -> None:
    """Give the pod a bucket of its own for the next round."""
    pod.bucket = pod.bucket.server.new_bucket()
    pod.document["destination"]["s3"]["bucket"] = pod.bucket.name
