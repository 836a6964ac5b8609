"""An object store that fails: on each kind of call, once and for good, before and after it did what it was asked."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from tests.integration.worker.adversarial.deliveries import LONG, deliver
from tests.integration.worker.adversarial.verdict import assert_only, assert_sound, assert_told_truly, failed
from tests.integration.worker.conftest import PREFIX, WorkerPod
from tests.support.pgp import PgpKey
from tests.support.s3 import serve_s3
from tests.support.s3_faults import (
    Corrupt,
    Cut,
    Fault,
    FaultProxy,
    Hang,
    Lost,
    LostAs,
    Reset,
    Rule,
    Seen,
    Slow,
    Status,
    fault_proxy,
)
from tests.support.samples import csv, flipped, noise
from tests.support.sftp import Inbox

BAD = {"bad.csv.gpg": {Category.INTEGRITY}}

CALLS: dict[str, Callable[[Seen], bool]] = {
    "ListObjectsV2": lambda seen: seen.method == "GET" and "list-type=2" in seen.query,
    "HeadObject": lambda seen: seen.method == "HEAD",
    "GetObject": lambda seen: seen.method == "GET" and f"/{PREFIX}/" in seen.path and "uploads" not in seen.query,
    "PutObject": lambda seen: seen.method == "PUT" and "uploadId" not in seen.query and "tagging" not in seen.query,
    "CreateMultipartUpload": lambda seen: seen.method == "POST" and seen.query.startswith("uploads"),
    "UploadPart": lambda seen: seen.method == "PUT" and "partNumber" in seen.query,
    "CompleteMultipartUpload": lambda seen: seen.method == "POST" and "uploadId" in seen.query,
    "AbortMultipartUpload": lambda seen: seen.method == "DELETE" and "uploadId" in seen.query,
    "ListMultipartUploads": lambda seen: seen.method == "GET" and "uploads" in seen.query,
    "Tagging": lambda seen: "tagging" in seen.query,
}
NEEDED = ("ListObjectsV2", "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")
"""What no run of these files goes without; the others depend on how the sink goes about it."""


@pytest.fixture
def good(inbox: Inbox, pgp_key: PgpKey) -> dict[str, bytes]:
    """Small and multipart objects, an archive, and a damaged file whose upload has begun when that shows."""
    objects: dict[str, bytes] = {}
    for stem, form, content in (
        ("large", "csv.gz.gpg", noise(1, 20 << 20)),
        ("pack", "tar.gz", csv(2)),
        ("small", "csv", b"1,2\n"),
        ("other", "xml.gz", csv(3)),
    ):
        delivery = deliver(stem, form, content, pgp_key)
        inbox.put(delivery.name, delivery.data)
        objects |= delivery.objects
    inbox.put("bad.csv.gpg", flipped(pgp_key.encrypt(noise(5, 12 << 20), "-z", "0"), 11 << 20))
    return objects


@pytest.fixture
def proxy(pod: WorkerPod) -> Iterator[FaultProxy]:
    """The way to the object store."""
    with fault_proxy(pod.bucket.server.port) as proxy:
        pod.document["destination"]["s3"]["endpoint"] = proxy.endpoint
        yield proxy


ONCE: dict[str, Fault] = {
    "500": Status(500, "InternalError"),
    "503": Status(503, "SlowDown"),
    "503 before the body": Status(503, "SlowDown", early=True),
    "reset": Reset(),
    "reset within the body": Reset(half=True),
    "slow": Slow(2),
    "answer lost": Lost(),
    "answer lost as 500": LostAs(500),
    "answer cut": Cut(),
}


@pytest.mark.parametrize(
    ("name", "nth"),
    [*((name, 1) for name in ONCE), *((name, 2) for name in (ONCE if LONG else ("503", "answer lost")))],
)
def test_once_on_each_kind_of_call_it_heals(
    pod: WorkerPod, good: dict[str, bytes], proxy: FaultProxy, name: str, nth: int
) -> None:
    struck = _once_each(proxy, ONCE[name], nth)

    ended = pod.run()

    assert_only(pod, ended, good, BAD)
    assert all(struck[call].used for call in NEEDED if nth == 1 or call in ("PutObject", "UploadPart"))
    # What was uploaded, and answered too late to be known, is not stored twice either by a second run.
    before = pod.bucket.objects(f"{PREFIX}/data/")
    proxy.clear()
    again = pod.run(uid="uid-2", attempt=2)
    assert (again.outcome.progress.files_selected, set(failed(pod, 2))) == (1, set(BAD))
    assert pod.bucket.objects(f"{PREFIX}/data/") == before


def test_a_body_that_is_altered_on_its_way_is_never_stored(
    pod: WorkerPod, good: dict[str, bytes], proxy: FaultProxy
) -> None:
    for call in ("PutObject", "UploadPart"):
        proxy.rule(Corrupt(), when=CALLS[call])

    ended = pod.run()

    assert_sound(pod, ended)
    stored = pod.data()
    assert {key for key, data in stored.items() if good.get(key) != data} == set()
    missing = set(good) - set(stored)
    assert missing == set() or ended.outcome.category is Category.SINK_UNAVAILABLE

    assert_only(pod, pod.run(attempt=2), good, BAD, attempt=2)


@pytest.mark.parametrize("name", ["503", "reset"] if LONG else ["503"])
@pytest.mark.parametrize("call", NEEDED)
@pytest.mark.timeout(900)
def test_for_good_on_one_kind_of_call_the_sink_is_away(
    pod: WorkerPod, good: dict[str, bytes], proxy: FaultProxy, call: str, name: str
) -> None:
    rule = proxy.rule(ONCE[name], when=CALLS[call], times=None)

    ended = pod.end(pod.start(), timeout=400)

    assert rule.used
    assert pod.bucket.open_uploads() == []
    assert {key for key, data in pod.data().items() if good.get(key) != data} == set()
    assert (ended.code, ended.outcome.category) == (21, Category.SINK_UNAVAILABLE), ended.log
    if ended.outcome.manifest is not None:
        assert_sound(pod, ended)
        assert Category.SINK_UNAVAILABLE in failed(pod).values()

    proxy.clear()
    assert_only(pod, pod.run(attempt=2), good, BAD, attempt=2)


@pytest.mark.timeout(900)
def test_an_upload_that_cannot_be_aborted_is_aborted_by_the_next_run(
    pod: WorkerPod, good: dict[str, bytes], proxy: FaultProxy
) -> None:
    proxy.rule(Status(503, "SlowDown"), when=CALLS["AbortMultipartUpload"], times=None)
    proxy.rule(Status(503, "SlowDown"), when=CALLS["ListMultipartUploads"], times=None)

    ended = pod.end(pod.start(), timeout=400)

    assert pod.bucket.open_uploads() == [f"{PREFIX}/data/csv/bad.csv"]
    assert pod.data() == good
    assert set(failed(pod)) == set(BAD)
    assert_told_truly(pod, ended)

    proxy.clear()
    assert_only(pod, pod.run(attempt=2), good, BAD, attempt=2)


@pytest.mark.parametrize("fault", [Lost(), LostAs(500)], ids=["lost", "lost as 500"])
@pytest.mark.parametrize("call", ["PutObject", "CompleteMultipartUpload"])
@pytest.mark.timeout(900)
def test_done_and_never_answered_counts_as_done(
    pod: WorkerPod, good: dict[str, bytes], proxy: FaultProxy, call: str, fault: Fault
) -> None:
    data = f"/{PREFIX}/data/"
    rule = proxy.rule(fault, when=lambda seen: CALLS[call](seen) and data in seen.path, times=None)

    ended = pod.end(pod.start(), timeout=400)

    assert rule.used
    assert_only(pod, ended, good, BAD)
    assert ended.code == 34


@pytest.mark.skipif(not LONG, reason="takes the minutes that an answer is waited for")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("done", [False, True])
def test_once_without_an_answer_no_later_than_the_next_attempt_heals(
    pod: WorkerPod, good: dict[str, bytes], proxy: FaultProxy, done: bool
) -> None:
    _once_each(proxy, Hang(done=done), 1)
    ended = pod.end(pod.start(), timeout=1500)
    assert {key for key, data in pod.data().items() if good.get(key) != data} == set()
    assert ended.outcome.category in (Category.SINK_UNAVAILABLE, Category.INTEGRITY), ended.log
    assert_told_truly(pod, ended)
    proxy.clear()
    assert_only(pod, pod.run(attempt=2), good, BAD, attempt=2)


def test_a_full_disk(pod: WorkerPod, inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {f"csv/{n}.csv": noise(n, 3000) for n in range(12)}
    large = noise(99, 60 << 20)
    for key, data in good.items():
        inbox.put(key.removeprefix("csv/"), data)
    inbox.put("large.csv", large)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(tmp_path)], check=True)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(tempfile, "tempdir", str(tmp_path))
            with serve_s3() as store:
                patched.undo()
                pod.bucket = store.new_bucket()
                pod.document["destination"]["s3"] |= {"bucket": pod.bucket.name, "endpoint": store.endpoint}

                ended = pod.end(pod.start(), timeout=300)

                assert (ended.code, ended.outcome.category) == (21, Category.SINK_UNAVAILABLE), ended.log
                assert pod.bucket.open_uploads() == []
                stored = pod.data()
                assert {key for key, data in stored.items() if good.get(key) != data} == set()

                subprocess.run(["mount", "-o", "remount,size=300m", str(tmp_path)], check=True)
                again = pod.run(attempt=2)
                assert_only(pod, again, good | {"csv/large.csv": large}, {}, attempt=2)
                assert again.code == 0
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def _once_each(proxy: FaultProxy, fault: Fault, nth: int) -> dict[str, Rule]:
    return {call: proxy.rule(fault, when=fits, nth=nth) for call, fits in CALLS.items()}
