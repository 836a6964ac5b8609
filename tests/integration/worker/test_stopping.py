"""What is left when the worker is told to stop, or is killed, in the middle of a file."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.report import FileOutcome
from tests.integration.worker.adversarial.processes import gpg_of
from tests.integration.worker.conftest import WorkerPod, wait_until
from tests.integration.worker.held import held
from tests.support.pgp import PgpKey
from tests.support.samples import noise, tar_gz
from tests.support.sftp import Inbox
from tests.support.tcp_faults import TcpProxy

SIZE = 200_000_000


@pytest.fixture
def large(inbox: Inbox, pgp_key: PgpKey) -> bytes:
    """Content of a file of many parts, encrypted, next to a small one."""
    content = noise(1, 1 << 20) * (SIZE >> 20)
    inbox.put("large.csv.gpg", pgp_key.encrypt(content, "-z", "0"))
    inbox.put("small.csv", b"1,2\n")
    return content


@pytest.fixture
def source(pod: WorkerPod, inbox: Inbox) -> Iterator[TcpProxy]:
    """The way to the source, which keeps the end of the large file back."""
    with held(pod.document["source"]["sftp"], inbox.server, after=SIZE * 3 // 4) as proxy:
        yield proxy


def test_sigterm_leaves_no_object_and_no_open_upload(pod: WorkerPod, large: bytes, source: TcpProxy) -> None:
    process = pod.start()
    wait_until(lambda: pod.bucket.open_uploads() and "small.csv" in pod.log())
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    ended = pod.end(process)

    assert (ended.code, ended.outcome.category) == (50, Category.CANCELLED), ended.log
    assert pod.bucket.open_uploads() == []
    assert pod.data() == {"csv/small.csv": b"1,2\n"}
    assert ended.outcome.manifest is not None
    assert [row.key for row in pod.manifest()] == ["bank/in/data/csv/small.csv"]


def test_sigterm_while_the_key_ring_is_made(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, tmp_path: Path) -> None:
    """It is made while all else begins, so the end of that must wait for it, and take it away."""
    inbox.put("a.csv.gpg", pgp_key.encrypt(b"1,2\n"))
    gpg = shutil.which("gpg")
    begun, closed = tmp_path / "begun", tmp_path / "closed"
    closed.touch()
    wrapper = tmp_path / "bin" / "gpg"
    wrapper.parent.mkdir()
    wrapper.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *--import*) : > {begun}; while [ -e {closed} ]; do sleep 0.02; done ;; esac\n'
        f'exec {gpg} "$@"\n'
    )
    wrapper.chmod(0o755)
    pod.environment["PATH"] = f"{wrapper.parent}:{os.environ['PATH']}"
    process = pod.start()
    try:
        wait_until(lambda: begun.exists() and "files selected" in pod.log())
        process.send_signal(signal.SIGTERM)
    finally:
        closed.unlink()
    ended = pod.end(process)

    assert (ended.code, ended.outcome.category) == (50, Category.CANCELLED), ended.log
    assert pod.data() == {}
    assert list((pod.folder / "m").iterdir()) == []
    assert gpg_of(pod.folder / "m") == []


def test_after_sigkill_a_rerun_stores_everything_once(pod: WorkerPod, large: bytes, source: TcpProxy) -> None:
    pod.killed = True
    process = pod.start()
    wait_until(lambda: pod.bucket.open_uploads() and "small.csv" in pod.log())
    process.kill()
    pod.end(process)
    assert pod.data() == {"csv/small.csv": b"1,2\n"}

    source.mend()
    ended = pod.run(attempt=2)
    assert ended.code == 0, ended.log
    assert ended.outcome.progress.summary == "1/1"
    assert pod.data() == {"csv/small.csv": b"1,2\n", "csv/large.csv": large}
    # What the killed attempt stored is told by the next one, which did not select it.
    assert {(row.key, row.outcome) for row in pod.manifest(attempt=2)} == {
        ("bank/in/data/csv/small.csv", FileOutcome.ALREADY_STORED),
        ("bank/in/data/csv/large.csv", FileOutcome.STORED),
    }


def test_rows_of_an_earlier_attempt_are_told_again_with_their_digests(
    pod: WorkerPod, inbox: Inbox, large: bytes
) -> None:
    inbox.put("pack.tar.gz", tar_gz({"a.csv": b"a\n", "b/c.xml": b"<c/>"}))
    assert pod.run().code == 0
    first = {(row.source_path, row.member): (row.key, row.size, row.sha256) for row in pod.manifest()}
    assert len(first) == 4
    ended = pod.run(attempt=2)
    assert (ended.code, ended.outcome.reason) == (0, "Completed"), ended.log
    again = pod.manifest(attempt=2)
    assert {row.outcome for row in again} == {FileOutcome.ALREADY_STORED}
    assert {(row.source_path, row.member): (row.key, row.size, row.sha256) for row in again} == first

    ended = pod.run(attempt=2, uid="another")
    assert (ended.code, ended.outcome.reason) == (0, "NoNewFiles"), "what another run stored is not this one's"


def test_a_sink_that_goes_away_ends_the_file_not_the_worker(pod: WorkerPod, large: bytes, source: TcpProxy) -> None:
    process = pod.start()
    wait_until(lambda: pod.bucket.open_uploads())
    for upload in pod.bucket.server.client._list_multipart_uploads(pod.bucket.name).uploads:
        pod.bucket.server.client._abort_multipart_upload(pod.bucket.name, upload.object_name, upload.upload_id)
    source.mend()
    source.resume()
    ended = pod.end(process)
    assert (ended.code, ended.outcome.category) == (21, Category.SINK_UNAVAILABLE), ended.log
    assert pod.data() == {"csv/small.csv": b"1,2\n"}
    assert pod.bucket.open_uploads() == []
