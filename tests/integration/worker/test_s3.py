"""The S3 sink against a real server: whole or not at all, never over another, and nothing left behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from octo_core.domain.failure import Category
from octo_worker.failure import Failed
from octo_worker.sinks.parts import FIRST
from octo_worker.sinks.retries import Halt
from octo_worker.sinks.s3 import WRITE_MARK, S3Sink
from tests.integration.worker.conftest import wait_until
from tests.integration.worker.s3_sinks import open_sink, secrets_in, sha256, store
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, Bucket, serve_s3
from tests.support.s3_faults import Answer, FaultProxy, Hold, Slow, Status, fault_proxy
from tests.support.samples import noise
from tests.support.tls import make_tls

pytestmark = pytest.mark.integration

LARGE = noise(7, 2 * FIRST + 12_345)
AWKWARD = "in/a b/c+d=&%41%/#?*~'\"<>|\\é日本,;:@$!()[]{}^`.csv"


@pytest.fixture
def sink(bucket: Bucket, tmp_path: Path) -> Iterator[S3Sink]:
    with open_sink(bucket, tmp_path / "secrets") as sink:
        yield sink


@pytest.fixture
def proxy(bucket: Bucket) -> Iterator[FaultProxy]:
    with fault_proxy(bucket.server.port) as proxy:
        yield proxy


@pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST, FIRST + 1, 2 * FIRST, 2 * FIRST + 7])
def test_what_is_written_is_read_back(sink: S3Sink, bucket: Bucket, size: int) -> None:
    data = LARGE[:size]
    assert store(sink, "in/data.csv", data)
    assert bucket.read("in/data.csv") == b"".join(sink.read("in/data.csv")) == data
    facts = sink.facts("in/data.csv")
    assert facts is not None
    assert facts.size == size
    assert facts.metadata == {"octo-job": "job-1", "sha256": sha256(data), "source-sha256": sha256(b"source")}
    assert [(entry.key, entry.size) for entry in sink.objects("in")] == [("in/data.csv", size)]
    assert bucket.open_uploads() == []


@pytest.mark.parametrize("step", [997, 300_000, len(LARGE)])
def test_chunks_may_be_of_any_size(sink: S3Sink, bucket: Bucket, step: int) -> None:
    assert store(sink, "in/data.csv", LARGE, step=step)
    assert bucket.read("in/data.csv") == LARGE


def test_a_buffer_that_its_owner_reuses_is_copied(sink: S3Sink, bucket: Bucket) -> None:
    chunk = bytearray(1 << 20)
    with sink.writer("in/data.csv", {}, overwrite=False) as writer:
        for number in range(9):
            chunk[:] = bytes([number]) * len(chunk)
            writer.write(memoryview(chunk))
        assert writer.commit({})
    assert bucket.read("in/data.csv") == b"".join(bytes([number]) * (1 << 20) for number in range(9))


@pytest.mark.parametrize("size", [10, FIRST + 1])
def test_both_ways_of_writing_mean_the_same_key(sink: S3Sink, bucket: Bucket, size: int) -> None:
    assert store(sink, AWKWARD, LARGE[:size])
    assert bucket.objects() == {AWKWARD: size}
    assert [entry.key for entry in sink.objects("in")] == [AWKWARD]
    facts = sink.facts(AWKWARD)
    assert facts is not None
    assert facts.metadata["sha256"] == sha256(LARGE[:size])
    assert not store(sink, AWKWARD, LARGE[:size])
    sink.delete(AWKWARD)
    assert bucket.objects() == {}


@pytest.mark.parametrize("key", ["", "/in/a", "in/", "in//a", "in/./a", "in/../a", ".."])
def test_a_key_that_may_be_understood_in_two_ways_is_refused(sink: S3Sink, bucket: Bucket, key: str) -> None:
    with pytest.raises(Failed) as failed:
        sink.writer(key, {}, overwrite=True)
    assert failed.value.category is Category.CONFIG
    with pytest.raises(Failed):
        sink.put(key, b"", {}, overwrite=True)
    assert bucket.objects() == {}
    assert bucket.open_uploads() == []


@pytest.mark.parametrize("size", [10, FIRST + 1])
def test_a_taken_key_stays_as_it_is_unless_told_to_overwrite(sink: S3Sink, bucket: Bucket, size: int) -> None:
    assert store(sink, "in/data.csv", b"first")
    assert not store(sink, "in/data.csv", LARGE[:size])
    assert bucket.read("in/data.csv") == b"first"
    assert bucket.open_uploads() == []
    assert store(sink, "in/data.csv", LARGE[:size], overwrite=True)
    assert bucket.read("in/data.csv") == LARGE[:size]
    assert store(sink, "in/data.csv", b"last", overwrite=True)
    facts = sink.facts("in/data.csv")
    assert facts is not None
    assert facts.metadata["sha256"] == sha256(b"last")


def test_small_objects_of_the_worker_itself(sink: S3Sink, bucket: Bucket) -> None:
    assert sink.facts("m.jsonl") is None
    assert sink.put("m.jsonl", b"1", {"octo-job": "a"}, overwrite=False)
    assert not sink.put("m.jsonl", b"2", {"octo-job": "b"}, overwrite=False)
    assert sink.put("m.jsonl", b"3", {"octo-job": "c"}, overwrite=True)
    assert bucket.read("m.jsonl") == b"3"
    sink.delete("m.jsonl")
    sink.delete("m.jsonl")
    assert bucket.objects() == {}
    with pytest.raises(Failed) as failed:
        list(sink.read("m.jsonl"))
    assert failed.value.category is Category.SINK_UNAVAILABLE


@pytest.mark.parametrize("size", [1000, FIRST + 1000])
def test_of_writers_that_race_for_a_key_exactly_one_wins(sink: S3Sink, bucket: Bucket, size: int) -> None:
    for turn in range(3):
        key, ready = f"in/{turn}.csv", threading.Barrier(2)

        def write(data: bytes, key: str = key, ready: threading.Barrier = ready) -> bool:
            with sink.writer(key, {"octo-job": "same"}, overwrite=False) as writer:
                writer.write(data)
                ready.wait(240)
                return writer.commit({"sha256": sha256(data)})

        contents = [LARGE[:size], LARGE[1 : size + 1]]
        with ThreadPoolExecutor(2) as threads:
            won = list(threads.map(write, contents))
        assert sorted(won) == [False, True]
        assert bucket.read(key) == contents[won.index(True)]
    assert bucket.open_uploads() == []


@pytest.mark.parametrize("size", [10, FIRST + 1, 3 * FIRST])
def test_leaving_without_commit_leaves_nothing(sink: S3Sink, bucket: Bucket, size: int) -> None:
    with suppress(KeyError), sink.writer("in/data.csv", {}, overwrite=False) as writer:
        writer.write((LARGE * 2)[:size])
        raise KeyError
    assert bucket.objects() == {}
    assert bucket.open_uploads() == []
    with pytest.raises(ValueError, match="ended"):
        writer.write(b"more")


@pytest.mark.parametrize("seconds", [1, 7])
def test_a_part_on_its_way_does_not_keep_an_upload_alive(
    bucket: Bucket, tmp_path: Path, proxy: FaultProxy, seconds: int
) -> None:
    # Held up in the proxy for shorter, and for longer, than the abort waits for it.
    proxy.rule(Slow(seconds), method="PUT", query="partNumber=2")
    with open_sink(bucket, tmp_path, proxy=proxy) as sink:
        with suppress(KeyError), sink.writer("in/data.csv", {}, overwrite=False) as writer:
            writer.write(LARGE[:FIRST])
            writer.write(LARGE)
            wait_until(lambda: proxy.count(query="partNumber=2") == 1)
            raise KeyError
        assert bucket.open_uploads() == []
    assert bucket.objects() == {}


def test_parts_are_sent_while_others_are_written_and_no_more_than_two_at_once(
    bucket: Bucket, tmp_path: Path, proxy: FaultProxy
) -> None:
    release = threading.Event()
    gate = proxy.rule(Hold(release), method="PUT", query="partNumber=", times=2)
    with open_sink(bucket, tmp_path, proxy=proxy) as sink, sink.writer("k", {}, overwrite=False) as writer:
        for _ in range(3):
            writer.write(LARGE[:FIRST])
        # The third is full, and goes when one of the two has arrived.
        more = threading.Thread(target=writer.write, args=(b"x",))
        more.start()
        wait_until(lambda: gate.used == 2)
        assert more.is_alive()
        assert proxy.count(query="partNumber=") == 2
        release.set()
        more.join()
        assert writer.commit({})
    assert bucket.read("k") == LARGE[:FIRST] * 3 + b"x"


def test_memory_is_that_of_the_parts_on_their_way(sink: S3Sink) -> None:
    # Without the garbage collector, which would hide that something holds on to a part until it runs.
    gc.disable()
    tracemalloc.start()
    try:
        assert store(sink, "k/before", LARGE)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with sink.writer("k/data", {}, overwrite=False) as writer:
            for number in range(12 * 8):
                writer.write(bytes([number]) * (1 << 20))
            assert writer.commit({})
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert peak - before < 3 * FIRST + (4 << 20)
    assert after - before < 1 << 20


CHILD = """
import sys, time
from pathlib import Path
from tests.integration.worker.s3_sinks import secrets_in
from octo_core.domain.provider import S3Destination
from octo_worker.sinks.s3 import S3Sink
endpoint, bucket, folder = sys.argv[1:]
sink = S3Sink(S3Destination(bucket=bucket, endpoint=endpoint, path_style=True), secrets_in(Path(folder)))
writers = [sink.writer(key, {}, overwrite=False) for key in ("in/crashed.csv", "in/other.csv", "out/crashed.csv")]
for writer in writers:
    writer.write(bytes(9 << 20))
print("written", flush=True)
time.sleep(60)
"""


def test_uploads_of_a_killed_process_are_aborted_and_no_others(sink: S3Sink, bucket: Bucket, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", CHILD, bucket.server.endpoint, bucket.name, str(tmp_path / "child")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        wait_until(lambda: len(bucket.open_uploads()) == 3)
        child.kill()
    keys = {"in/crashed.csv", "in/mine.csv", "out/crashed.csv"}
    with sink.writer("in/mine.csv", {}, overwrite=False) as writer:
        writer.write(LARGE[: FIRST + 1])
        wait_until(lambda: "in/mine.csv" in bucket.open_uploads())
        assert sink.abort_stale_uploads(keys, "in/") == 1
        assert sorted(bucket.open_uploads()) == ["in/mine.csv", "in/other.csv", "out/crashed.csv"]
        assert sink.abort_stale_uploads(keys) == 1
        assert sink.abort_stale_uploads(keys) == 0
        assert writer.commit({})
    assert bucket.objects() == {"in/mine.csv": FIRST + 1}


def test_open_uploads_are_listed_page_by_page(sink: S3Sink, bucket: Bucket) -> None:
    uploads, halt = sink._multipart, Halt()
    keys = [f"in/{number}" for number in range(5)] + ["in/0", AWKWARD]
    made = sorted((key, uploads.create(key, {}, halt)[0]) for key in keys)
    uploads.create("out/0", {}, halt)
    assert sorted(uploads.uploads("in/", halt, page=2)) == made
    assert sink.abort_stale_uploads(keys) == 7
    assert bucket.open_uploads() == ["out/0"]


def test_a_listing_is_read_as_it_is_used(bucket: Bucket, tmp_path: Path, proxy: FaultProxy) -> None:
    with open_sink(bucket, tmp_path, proxy=proxy) as sink:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda n: sink.put(f"in/{n:04}", b"", {}, overwrite=False), range(2100)))
        sink.put("into", b"", {}, overwrite=False)
        entries = sink.objects("in")
        assert next(entries).key == "in/0000"
        assert proxy.count(query="list-type=2") == 1
        assert sum(1 for _ in entries) == 2099
        assert proxy.count(query="list-type=2") == 3


def test_a_listing_tells_keys_of_others_that_the_sink_would_not_write(
    bucket: Bucket, tmp_path: Path, proxy: FaultProxy
) -> None:
    # The server keeps objects as files and cannot have such keys; AWS can.
    keys = ["in/", "in//a", "in/a%09b", "in/a+b%2Bc", "in/folder/", "in/../x"]
    rows = "".join(
        f"<Contents><Key>{key}</Key><Size>3</Size><LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents>"
        for key in keys
    )
    body = (
        f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
    )
    proxy.rule(Answer(200, body.encode()), query="list-type=2")
    with open_sink(bucket, tmp_path, proxy=proxy) as sink:
        entries = list(sink.objects("in"))
    assert [entry.key for entry in entries] == ["in/", "in//a", "in/a\tb", "in/a b+c", "in/folder/", "in/../x"]
    assert {(entry.size, entry.modified_at.isoformat()) for entry in entries} == {
        (3, "2026-01-02T03:04:05.678000+00:00")
    }


def test_secrets_and_buckets_that_are_wrong(bucket: Bucket, tmp_path: Path) -> None:
    wrong_secret = {"secretAccessKey": "planted-wrong-key"}
    cases: tuple[tuple[str, dict[str, Any], dict[str, str], Category], ...] = (
        ("secret", {}, wrong_secret, Category.AUTH),
        ("user", {}, {"accessKeyId": "nobody"}, Category.AUTH),
        ("bucket", {"bucket": "no-such-bucket"}, {}, Category.CONFIG),
        ("endpoint", {"endpoint": "http://127.0.0.1:9"}, {}, Category.SINK_UNAVAILABLE),
    )
    for name, settings, secrets, category in cases:
        with open_sink(bucket, tmp_path / name, secrets=secrets, **settings) as sink:
            for size in (10, FIRST + 1):
                with pytest.raises(Failed) as failed:
                    store(sink, "in/data.csv", LARGE[:size])
                assert failed.value.category is category, failed.value
                for planted in (SECRET_KEY, "planted-wrong-key", "AWS4-HMAC", "Signature="):
                    assert planted not in str(failed.value)
            with pytest.raises(Failed) as failed:
                list(sink.objects("in"))
            assert failed.value.category is category, failed.value
    assert bucket.open_uploads() == []


@pytest.mark.parametrize(
    "endpoint",
    ["ftp://s3.example.com", "s3.example.com", "https://", "https://user:planted@s3.example.com", "http://a:b"],
)
def test_an_endpoint_that_is_none(bucket: Bucket, tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(Failed) as failed, open_sink(bucket, tmp_path, endpoint=endpoint):
        pass
    assert failed.value.category is Category.CONFIG
    assert "planted" not in str(failed.value)


def test_half_a_secret(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed, open_sink(bucket, tmp_path, secrets={"secretAccessKey": None}):
        pass
    assert failed.value.category is Category.CONFIG


def test_server_side_encryption_is_asked_for(bucket: Bucket, tmp_path: Path, proxy: FaultProxy) -> None:
    start = "x-amz-server-side-encryption"
    # The server has no keys of its own and refuses; what counts is what was asked.
    proxy.rule(Status(501, "NotImplemented"), times=None)
    for encryption, expected in (
        ({"algorithm": "AES256"}, {start: "AES256"}),
        (
            {"algorithm": "aws:kms", "kms_key_id": "arn:key/1", "bucket_key_enabled": True},
            {
                start: "aws:kms",
                f"{start}-aws-kms-key-id": "arn:key/1",
                f"{start}-bucket-key-enabled": "true",
            },
        ),
    ):
        with open_sink(bucket, tmp_path, proxy=proxy, server_side_encryption=encryption) as sink:
            for size in (10, FIRST + 1):
                with pytest.raises(Failed):
                    store(sink, "in/data.csv", LARGE[:size])
            with pytest.raises(Failed):
                sink.put("m", b"", {}, overwrite=True)
        writes = [*proxy.requests(method="PUT", query=""), *proxy.requests(method="POST", query="uploads=")][-3:]
        asked = [{k: v for k, v in seen.headers.items() if k.startswith(start)} for seen in writes]
        assert asked == [expected] * 3
        proxy.seen.clear()


def test_a_session_token_goes_with_every_request(bucket: Bucket, tmp_path: Path, proxy: FaultProxy) -> None:
    proxy.rule(Status(503, "Down"), times=None)
    with open_sink(bucket, tmp_path, proxy=proxy, secrets={"sessionToken": "planted-token"}) as sink:
        for size in (10, FIRST + 1):
            with pytest.raises(Failed) as failed:
                store(sink, "in/data.csv", LARGE[:size])
            assert "planted-token" not in str(failed.value)
    assert len(proxy.seen) >= 10
    assert {seen.headers.get("x-amz-security-token") for seen in proxy.seen} == {"planted-token"}


def test_the_bucket_in_the_host_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_s3("--virtual-domain", "s3.example.test") as server, fault_proxy(server.port) as proxy:
        bucket = server.new_bucket()
        # No name server knows that name; as an HTTP proxy ours need not ask one.
        monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        with open_sink(bucket, tmp_path, endpoint="http://s3.example.test", path_style=False) as sink:
            for key, size in (("in/small #1.csv", 10), ("in/large #1.csv", FIRST + 1)):
                assert store(sink, key, LARGE[:size])
                assert not store(sink, key, LARGE[:size])
                facts = sink.facts(key)
                assert facts is not None
                assert facts.metadata["sha256"] == sha256(LARGE[:size])
            assert {entry.key: entry.size for entry in sink.objects("in")} == bucket.objects()
            assert sink.abort_stale_uploads({"in/large #1.csv"}) == 0
        assert {seen.headers["host"] for seen in proxy.seen} == {f"{bucket.name}.s3.example.test"}


def test_a_proxy_is_logged_in_to_and_passed_by_where_it_shall_be(
    bucket: Bucket, tmp_path: Path, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://user:p%40ss@127.0.0.1:{proxy.port}")
    with open_sink(bucket, tmp_path) as sink:
        assert store(sink, "in/small.csv", b"data")
    assert {seen.headers["proxy-authorization"] for seen in proxy.seen} == {"Basic dXNlcjpwQHNz"}
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    before = proxy.count()
    with open_sink(bucket, tmp_path) as sink:
        assert not store(sink, "in/small.csv", b"data")
    assert proxy.count() == before


def test_tls_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = make_tls(tmp_path)
    with serve_s3(tls=tls) as server:
        bucket = server.new_bucket()
        with open_sink(bucket, tmp_path / "a") as sink:
            for size in (10, FIRST + 1):
                with pytest.raises(Failed) as failed:
                    store(sink, "in/data.csv", LARGE[:size])
                assert failed.value.category is Category.SINK_UNAVAILABLE
        assert bucket.objects() == {}
        monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority))
        with open_sink(bucket, tmp_path / "b") as sink:
            assert store(sink, "in/small.csv", b"data")
            assert store(sink, "in/large.csv", LARGE)
            assert [entry.size for entry in sink.objects("in")] == [len(LARGE), 4]
        assert bucket.read("in/large.csv") == LARGE


def test_late_metadata_is_not_taken_from_the_object_before(sink: S3Sink, bucket: Bucket) -> None:
    assert store(sink, "k", LARGE)
    tags = bucket.tags("k")
    assert tags.keys() == {"sha256", "source-sha256", WRITE_MARK}
    with sink.writer("k", {}, overwrite=True) as writer:
        writer.write(LARGE[1:])
        assert writer.commit({})
    # As a store would have it that keeps tags, or a tag that came late.
    sink._objects.tag("k", tags, Halt())
    facts = sink.facts("k")
    assert facts is not None
    assert facts.metadata == {}


def test_what_is_known_before_goes_as_metadata(sink: S3Sink, bucket: Bucket) -> None:
    with sink.writer("k", {"sha256": sha256(LARGE), "source-sha256": "x"}, overwrite=False) as writer:
        writer.write(LARGE)
        assert writer.commit({"sha256": sha256(LARGE)})
    assert bucket.metadata("k")["sha256"] == sha256(LARGE)
    assert bucket.tags("k") == {}


def test_credentials_are_in_no_text(tmp_path: Path) -> None:
    from octo_worker.sinks.identity import key_source

    text = repr(key_source(secrets_in(tmp_path, sessionToken="planted-token"), "us-east-1")())
    assert ACCESS_KEY not in text
    assert SECRET_KEY not in text
    assert "planted" not in text
