"""The S3 sink when the store, or the way to it, fails: each call, each kind of fault, by a proxy."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sinks.parts import FIRST
from octo_worker.sinks.retries import Patience
from octo_worker.sinks.s3 import S3Sink
from tests.integration.worker.conftest import wait_until
from tests.integration.worker.s3_sinks import open_sink, sha256, store
from tests.support.s3 import Bucket
from tests.support.s3_faults import (
    Answer,
    Corrupt,
    Cut,
    Fault,
    FaultProxy,
    Hang,
    Lost,
    LostAs,
    Reset,
    Slow,
    Status,
    Strip,
    fault_proxy,
)
from tests.support.samples import noise

LARGE = noise(8, 2 * FIRST + 999)
SMALL = LARGE[:5000]
FACTS = {"octo-job": "job-1", "sha256": sha256(LARGE), "source-sha256": sha256(b"source")}

CALLS = {
    "put": ("PUT", ""),
    "create": ("POST", "uploads="),
    "part": ("PUT", "partNumber=2"),
    "complete": ("POST", "uploadId="),
    "tag": ("PUT", "tagging="),
    "head": ("HEAD", ""),
    "tags": ("GET", "tagging="),
    "list": ("GET", "list-type=2"),
    "get": ("GET", ""),
    "uploads": ("GET", "uploads="),
    "delete": ("DELETE", ""),
}
FAULTS: dict[str, Fault] = {
    "500": Status(500, "InternalError"),
    "503": Status(503, "SlowDown"),
    "503-early": Status(503, "SlowDown", early=True),
    "429": Status(429, "TooManyRequests"),
    "reset": Reset(),
    "reset-half": Reset(half=True),
    "lost": Lost(),
    "lost-500": LostAs(500),
    "slow": Slow(0.3),
}


@pytest.fixture
def proxy(bucket: Bucket) -> Iterator[FaultProxy]:
    with fault_proxy(bucket.server.port) as proxy:
        yield proxy


@pytest.fixture
def sink(bucket: Bucket, tmp_path: Path, proxy: FaultProxy) -> Iterator[S3Sink]:
    with open_sink(bucket, tmp_path / "secrets", proxy=proxy) as sink:
        yield sink


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_a_fault_that_passes_is_passed_over(
    sink: S3Sink, bucket: Bucket, proxy: FaultProxy, call: str, fault: str
) -> None:
    method, query = CALLS[call]
    rules = [proxy.rule(FAULTS[fault], method=method, query=query, nth=nth) for nth in (1, 2)]
    assert store(sink, "in/small.csv", SMALL)
    assert store(sink, "in/large.csv", LARGE)
    assert {entry.key: entry.size for entry in sink.objects("in")} == {
        "in/large.csv": len(LARGE),
        "in/small.csv": len(SMALL),
    }
    facts = sink.facts("in/large.csv")
    assert facts is not None
    assert facts.metadata == FACTS
    assert b"".join(sink.read("in/large.csv")) == LARGE
    assert sink.abort_stale_uploads({"in/large.csv"}) == 0
    assert bucket.open_uploads() == []
    sink.delete("in/small.csv")
    assert bucket.objects() == {"in/large.csv": len(LARGE)}
    assert rules[0].used == 1


@pytest.mark.parametrize("fault", ["500", "503", "reset", "reset-half"])
@pytest.mark.parametrize("call", ["put", "create", "part", "complete"])
def test_a_fault_that_stays_leaves_nothing(
    sink: S3Sink, bucket: Bucket, proxy: FaultProxy, call: str, fault: str
) -> None:
    method, query = CALLS[call]
    rule = proxy.rule(FAULTS[fault], method=method, query=query, times=None)
    with pytest.raises(Failed) as failed:
        store(sink, "in/data.csv", SMALL if call == "put" else LARGE)
    assert failed.value.category is Category.SINK_UNAVAILABLE
    assert "in/data.csv" in failed.value.detail
    assert rule.used == 5
    assert bucket.objects() == {}
    assert bucket.open_uploads() == []


@pytest.mark.parametrize("call", ["head", "list", "get", "tags", "uploads", "delete"])
def test_what_cannot_be_asked_is_said(sink: S3Sink, proxy: FaultProxy, call: str) -> None:
    store(sink, "in/large.csv", LARGE)
    method, query = CALLS[call]
    proxy.rule(Status(503, "SlowDown"), method=method, query=query, times=None)
    asks: dict[str, Callable[[], object]] = {
        "head": lambda: sink.facts("in/large.csv"),
        "tags": lambda: sink.facts("in/large.csv"),
        "list": lambda: list(sink.objects("in")),
        "get": lambda: list(sink.read("in/large.csv")),
        "uploads": lambda: sink.abort_stale_uploads({"in/large.csv"}),
        "delete": lambda: sink.delete("in/large.csv"),
    }
    with pytest.raises(Failed) as failed:
        asks[call]()
    assert failed.value.category is Category.SINK_UNAVAILABLE


@pytest.mark.parametrize("status", [400, 403, 404, 409])
@pytest.mark.parametrize("call", ["put", "create", "part", "complete"])
def test_a_refusal_is_not_tried_again(sink: S3Sink, bucket: Bucket, proxy: FaultProxy, call: str, status: int) -> None:
    method, query = CALLS[call]
    rule = proxy.rule(Status(status, "Refused"), method=method, query=query, times=None)
    with pytest.raises(Failed) as failed:
        store(sink, "in/data.csv", SMALL if call == "put" else LARGE)
    assert failed.value.category is (Category.AUTH if status == 403 else Category.SINK_UNAVAILABLE)
    assert rule.used == 1
    assert bucket.objects() == {}
    assert bucket.open_uploads() == []


def test_an_object_cut_while_it_is_read(sink: S3Sink, proxy: FaultProxy) -> None:
    store(sink, "in/large.csv", LARGE)
    proxy.rule(Cut(), method="GET", query="", times=1)
    assert b"".join(sink.read("in/large.csv")) == LARGE


# --- answers that are lost ---------------------------------------------------


@pytest.mark.parametrize("times", [1, 2, None])
@pytest.mark.parametrize("fault", [Lost(), LostAs(500), LostAs(503, "SlowDown")], ids=["reset", "500", "503"])
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "complete"])
def test_what_the_store_did_counts_though_its_answer_was_lost(
    sink: S3Sink, bucket: Bucket, proxy: FaultProxy, data: bytes, fault: Fault, times: int | None
) -> None:
    method, query = CALLS["put" if data is SMALL else "complete"]
    proxy.rule(fault, method=method, query=query, times=times)
    assert store(sink, "in/data.csv", data)
    facts = sink.facts("in/data.csv")
    assert facts is not None
    assert facts.metadata["sha256"] == sha256(data)
    assert bucket.read("in/data.csv") == data
    assert bucket.open_uploads() == []


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "complete"])
def test_a_lost_refusal_is_not_taken_for_success(sink: S3Sink, bucket: Bucket, proxy: FaultProxy, data: bytes) -> None:
    bucket.put("in/data.csv", data)
    method, query = CALLS["put" if data is SMALL else "complete"]
    proxy.rule(Lost(), method=method, query=query)
    assert not store(sink, "in/data.csv", data)
    assert bucket.metadata("in/data.csv").get("octo-job") is None
    assert bucket.open_uploads() == []


def test_the_same_data_of_another_run_is_not_taken_for_ours(sink: S3Sink, bucket: Bucket, proxy: FaultProxy) -> None:
    assert store(sink, "in/data.csv", SMALL, job="job-0")
    proxy.rule(Lost(), method="PUT", query="")
    assert not store(sink, "in/data.csv", SMALL)
    assert bucket.metadata("in/data.csv")["octo-job"] == "job-0"


def test_a_completion_that_works_on_after_its_connection_broke(sink: S3Sink, bucket: Bucket, proxy: FaultProxy) -> None:
    # First it is not done at all, then done and lost, then the store is away for all but looking.
    proxy.rule(Reset(), method="POST", query="uploadId=", nth=1)
    proxy.rule(Lost(), method="POST", query="uploadId=", nth=1)
    proxy.rule(Status(503, "SlowDown"), method="POST", query="uploadId=", times=None)
    assert store(sink, "in/data.csv", LARGE)
    assert bucket.objects() == {"in/data.csv": len(LARGE)}


def test_an_upload_whose_start_was_not_answered_is_not_left_open(
    sink: S3Sink, bucket: Bucket, proxy: FaultProxy
) -> None:
    bystander = bucket.server.client._create_multipart_upload(bucket.name, "in/data.csv.other", {})
    proxy.rule(Lost(), method="POST", query="uploads=", times=2)
    assert store(sink, "in/data.csv", LARGE)
    assert bucket.open_uploads() == ["in/data.csv.other"]
    proxy.rule(Lost(), method="POST", query="uploads=", times=None)
    with pytest.raises(Failed):
        store(sink, "in/more.csv", LARGE)
    assert bucket.open_uploads() == ["in/data.csv.other"]
    assert bystander


def test_an_error_in_an_answer_of_200(sink: S3Sink, bucket: Bucket, proxy: FaultProxy) -> None:
    def error(code: str) -> bytes:
        return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>sorry</Message></Error>'.encode()

    proxy.rule(Answer(200, error("InternalError")), method="POST", query="uploadId=")
    assert store(sink, "in/data.csv", LARGE)
    rule = proxy.rule(Answer(200, error("AccessDenied")), method="POST", query="uploadId=")
    with pytest.raises(Failed) as failed:
        store(sink, "in/other.csv", LARGE)
    assert failed.value.category is Category.AUTH
    assert rule.used == 1
    # Cut off before the verdict.
    proxy.rule(Answer(200, b'<?xml version="1.0"?>\n  \n', forward=True), method="POST", query="uploadId=")
    assert store(sink, "in/third.csv", LARGE)
    assert bucket.objects() == {"in/data.csv": len(LARGE), "in/third.csv": len(LARGE)}
    assert bucket.open_uploads() == []


# --- bytes that change on their way -------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_part_damaged_on_its_way_is_refused_and_sent_again(
    sink: S3Sink, bucket: Bucket, proxy: FaultProxy, number: int
) -> None:
    proxy.rule(Corrupt(), method="PUT", query=f"partNumber={number}")
    assert store(sink, "in/data.csv", LARGE)
    assert proxy.count(method="PUT", query=f"partNumber={number}") == 2
    assert bucket.read("in/data.csv") == LARGE


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "part"])
def test_bytes_damaged_again_and_again_are_never_stored(
    sink: S3Sink, bucket: Bucket, proxy: FaultProxy, data: bytes
) -> None:
    proxy.rule(Corrupt(), method="PUT", times=None)
    with pytest.raises(Failed):
        store(sink, "in/data.csv", data)
    assert bucket.objects() == {}
    assert bucket.open_uploads() == []


def test_parts_that_are_not_what_was_sent_make_no_object(sink: S3Sink, bucket: Bucket, proxy: FaultProxy) -> None:
    # The store takes the whole for what it is by the checksum at completion: here of a list without a part.
    with suppress(Failed), sink.writer("in/data.csv", {}, overwrite=False) as writer:
        writer.write(LARGE)
        upload = writer._upload
        assert upload is not None
        while upload._sent:
            upload._collect()
        upload._parts[0] = upload._parts[0]._replace(crc=upload._parts[0].crc ^ 1)
        writer.commit({})
    assert bucket.objects() == {}
    assert bucket.open_uploads() == []


def test_an_object_that_the_store_says_is_another_is_taken_away(
    sink: S3Sink, bucket: Bucket, proxy: FaultProxy
) -> None:
    body = b"<CompleteMultipartUploadResult><ChecksumCRC32>AAAAAA==</ChecksumCRC32></CompleteMultipartUploadResult>"
    proxy.rule(Answer(200, body, forward=True), method="POST", query="uploadId=")
    with pytest.raises(Failed) as failed:
        store(sink, "in/data.csv", LARGE)
    assert failed.value.category is Category.SINK_UNAVAILABLE
    assert bucket.objects() == {}


def test_a_store_without_checksums_gets_content_md5(
    sink: S3Sink, bucket: Bucket, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.rule(Corrupt(), method="PUT", query="partNumber=3")
    proxy.rule(Strip("x-amz-checksum", element="ChecksumCRC32"), times=None)
    assert store(sink, "in/data.csv", LARGE)
    assert store(sink, "in/more.csv", LARGE)
    assert bucket.read("in/data.csv") == bucket.read("in/more.csv") == LARGE
    parts = proxy.requests(method="PUT", query="partNumber=")
    assert sum("content-md5" in seen.headers for seen in parts) >= 6
    assert all("content-md5" in seen.headers for seen in parts if "more" in seen.path)
    assert [record.message for record in caplog.records if "checksums" in record.message] == [
        "the store knows no checksums; parts are sent with Content-MD5 instead"
    ]
    assert bucket.open_uploads() == []


# --- tags ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (501, "NotImplemented"), (405, "MethodNotAllowed")]
)
def test_a_store_that_takes_no_tags_is_asked_once(
    sink: S3Sink,
    bucket: Bucket,
    proxy: FaultProxy,
    caplog: pytest.LogCaptureFixture,
    status: int,
    code: str,
) -> None:
    rule = proxy.rule(Status(status, code), query="tagging=", times=None)
    for key in ("in/a.csv", "in/b.csv"):
        assert store(sink, key, LARGE)
        facts = sink.facts(key)
        assert facts is not None
        assert facts.size == len(LARGE)
        assert facts.metadata == {"octo-job": "job-1"}
    assert rule.used == 2  # once to write, once to read
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 2


def test_an_object_without_its_tags_is_an_object(sink: S3Sink, bucket: Bucket, proxy: FaultProxy) -> None:
    proxy.rule(Status(503, "SlowDown"), method="PUT", query="tagging=", times=None)
    assert store(sink, "in/a.csv", LARGE)
    assert bucket.objects() == {"in/a.csv": len(LARGE)}


# --- stopping -----------------------------------------------------------------


@pytest.mark.parametrize("call", ["put", "create", "part", "complete"])
def test_a_stop_ends_the_wait_for_another_try(bucket: Bucket, tmp_path: Path, proxy: FaultProxy, call: str) -> None:
    method, query = CALLS[call]
    stop = threading.Event()
    rule = proxy.rule(Status(503, "SlowDown"), method=method, query=query, times=None)
    slow = Patience(first_seconds=600, longest_seconds=600, total_seconds=10_000)

    def stop_once_it_waits() -> None:
        wait_until(lambda: rule.used > 0)
        stop.set()

    watcher = threading.Thread(target=stop_once_it_waits)
    watcher.start()
    try:
        with open_sink(bucket, tmp_path, proxy=proxy, stop=stop, patience=slow) as sink:
            with pytest.raises(Failed) as failed:
                store(sink, "in/data.csv", SMALL if call == "put" else LARGE)
            assert failed.value.category is Category.CANCELLED
    finally:
        watcher.join()
    assert bucket.objects() == {}
    assert bucket.open_uploads() == []


def test_closing_gives_up_on_a_store_that_does_not_abort(
    bucket: Bucket,
    tmp_path: Path,
    proxy: FaultProxy,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("octo_worker.sinks.upload.ABORT_SECONDS", 1.0)
    with open_sink(bucket, tmp_path, proxy=proxy) as sink:
        writer = sink.writer("in/data.csv", {}, overwrite=False)
        writer.write(LARGE)
        wait_until(lambda: "in/data.csv" in bucket.open_uploads())
        proxy.rule(Status(503, "SlowDown"), method="DELETE", times=None)
        writer.close()
        assert "may be left open" in caplog.text
        proxy.clear()
        assert sink.abort_stale_uploads({"in/data.csv"}) == 1
    assert bucket.open_uploads() == []


def test_closing_gives_up_on_a_store_that_hangs(
    bucket: Bucket, tmp_path: Path, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octo_worker.sinks.upload.ABORT_SECONDS", 1.0)
    monkeypatch.setattr("octo_worker.sinks.upload._SETTLE_SECONDS", 0.5)
    monkeypatch.setattr("octo_worker.sinks.multipart._ABORT_IO_SECONDS", 0.2)
    rules = [
        proxy.rule(Hang(), method="DELETE", times=None),
        proxy.rule(Hang(), method="PUT", query="partNumber=2", times=None),
    ]
    with open_sink(bucket, tmp_path, proxy=proxy) as sink:
        writer = sink.writer("in/data.csv", {}, overwrite=False)
        writer.write(LARGE)
        writer.write(LARGE[:FIRST])
        wait_until(lambda: rules[1].used == 1)
        writer.close()
        assert rules[0].used >= 1
        assert bucket.open_uploads() == ["in/data.csv"]
        proxy.clear()
        with open_sink(bucket, tmp_path) as next_attempt:
            assert next_attempt.abort_stale_uploads({"in/data.csv"}) == 1
        proxy.ending.set()


def test_a_hanging_part_is_given_up(
    bucket: Bucket, tmp_path: Path, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octo_worker.sinks.wire._IO_SECONDS", 1.0)
    proxy.rule(Hang(), method="PUT", query="partNumber=1")
    proxy.rule(Hang(done=True), method="PUT", query="partNumber=2")
    with open_sink(bucket, tmp_path, proxy=proxy) as sink:
        assert store(sink, "in/data.csv", LARGE)
    assert bucket.read("in/data.csv") == LARGE
