"""End to end: what is stored, what is refused, and what a second run finds."""

from __future__ import annotations

import gzip
import hashlib
import os
from datetime import UTC, datetime

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.report import FileOutcome
from tests.integration.worker.conftest import PREFIX, Receiver, WorkerPod
from tests.support.pgp import PgpKey, encrypt_symmetric
from tests.support.samples import csv, flipped, noise, tar, tar_gz, tar_with_link
from tests.support.sftp import PASSWORD, Inbox


def test_stores_every_kind_of_file_byte_for_byte_and_once(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    big, pdf, xml = csv(1, 400_000), noise(2, 300_000), b"<a>" + csv(3) + b"</a>"
    members = {"one.csv": csv(4), "deep/two.xml": xml, "deep/notes.txt": b"hello", "empty.json": b""}
    inbox.put("big.csv.gz.gpg", pgp_key.encrypt(gzip.compress(big, 1), "-z", "0"))
    inbox.put("daily/loans.xml.gpg", pgp_key.encrypt(xml))
    inbox.put("signed.xml.asc", pgp_key.encrypt(xml, "--armor", "--sign", "--passphrase", pgp_key.passphrase))
    inbox.put("daily/letter ü#1.pdf", pdf)
    inbox.put("two.csv.gz", gzip.compress(b"a,b\n") + gzip.compress(b"c,d\n"))
    inbox.put("pack.tar.gz", tar_gz(members))
    inbox.put("secret.tgz.gpg", pgp_key.encrypt(tar_gz({"x.pdf": pdf})))
    inbox.put("plain.tar", tar({"y.json": b"{}"}))
    inbox.put("empty.csv", b"")
    inbox.put("big.csv.gz.gpg.sig", b"signature")
    (inbox.path / "link.csv").symlink_to(inbox.path / "empty.csv")

    ended = pod.run()

    assert (ended.code, ended.outcome.reason, ended.outcome.category) == (0, "Completed", None), ended.log
    assert pod.data() == {
        "csv/big.csv": big,
        "xml/daily/loans.xml": xml,
        "xml/signed.xml": xml,
        "pdf/daily/letter ü#1.pdf": pdf,
        "csv/two.csv": b"a,b\nc,d\n",
        "csv/pack/one.csv": members["one.csv"],
        "xml/pack/deep/two.xml": xml,
        "other/pack/deep/notes.txt": b"hello",
        "json/pack/empty.json": b"",
        "pdf/secret/x.pdf": pdf,
        "json/plain/y.json": b"{}",
        "csv/empty.csv": b"",
    }
    progress = ended.outcome.progress
    assert (progress.files_listed, progress.files_selected, progress.files_skipped) == (10, 9, 1)
    assert (progress.files_done, progress.files_failed, progress.summary) == (9, 0, "9/9")
    assert progress.bytes_uploaded == sum(len(data) for data in pod.data().values())
    rows = {row.key: row for row in pod.manifest()}
    assert len(rows) == 12
    for key, row in rows.items():
        assert key is not None
        assert row.outcome is FileOutcome.STORED
        assert row.sha256 == hashlib.sha256(pod.bucket.read(key)).hexdigest()
    manifest = ended.outcome.manifest
    assert manifest is not None
    assert manifest.uri == f"s3://{pod.bucket.name}/{PREFIX}/manifests/nightly/1.jsonl"
    raw = (inbox.path / "daily/loans.xml.gpg").read_bytes()
    assert pod.bucket.metadata(f"{PREFIX}/data/xml/daily/loans.xml") == {
        "sha256": hashlib.sha256(xml).hexdigest(),
        "source-sha256": hashlib.sha256(raw).hexdigest(),
        "source-size": str(len(raw)),
        "source-mtime": "2023-11-14T22:13:20Z",
        "source-path": f"{inbox.path}/daily/loans.xml.gpg",
        "octo-job": "uid-1",
    }
    assert pod.bucket.open_uploads() == []

    before = pod.bucket.objects()
    again = pod.run(attempt=2, uid="uid-2")
    assert (again.code, again.outcome.reason) == (0, "NoNewFiles"), again.log
    assert again.outcome.progress.files_skipped == 10
    assert pod.bucket.objects() == before


def test_bad_files_fail_alone_and_leave_nothing(
    pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, other_pgp_key: PgpKey
) -> None:
    big = pgp_key.encrypt(noise(1, 20_000_000), "-z", "0")
    small = pgp_key.encrypt(noise(2, 10_000), "-z", "0")
    zipped = gzip.compress(csv(3))
    inbox.put("good.csv", b"1,2\n")
    inbox.put("flipped-big.csv.gpg", flipped(big, 15_000_000))
    inbox.put("flipped.csv.gpg", flipped(small, 5_000))
    inbox.put("cut-big.csv.gpg", big[:-1_000_000])
    inbox.put("cut-mdc.csv.gpg", small[:-22])
    inbox.put("stranger.csv.gpg", other_pgp_key.encrypt(b"x"))
    inbox.put("not-pgp.csv.gpg", b"hello, this is no message")
    inbox.put("no-mdc.csv.gpg", pgp_key.encrypt(b"x" * 1000, "--rfc2440", "--disable-mdc", "--cipher-algo", "3DES"))
    inbox.put("cut.csv.gz", zipped[:-9])
    inbox.put("crc.csv.gz", flipped(zipped, len(zipped) - 6))
    inbox.put("not-gzip.csv.gz", b"hello")
    inbox.put("slip.tar", tar({"ok.csv": b"1", "../evil.csv": b"2"}))
    inbox.put("rooted.tar.gz", tar_gz({"/etc/evil.csv": b"2"}))
    inbox.put("control.tar", tar({"a\x07b.csv": b"2"}))
    inbox.put("link.tar", tar_with_link())
    inbox.put("cut.tar", tar({"a.csv": b"1" * 5000})[:3000])
    inbox.put("late-crc.tar.gz", flipped(data := tar_gz({"a.csv": csv(5), "b.csv": csv(6)}), len(data) - 6))
    inbox.put("same.csv", b"1")
    inbox.put("same.csv.gz", gzip.compress(b"2"))
    inbox.put("bell\x07.csv", b"1")
    (inbox.path / os.fsdecode(b"latin-\xe9.csv")).write_bytes(b"1")

    ended = pod.run()

    assert pod.data() == {"csv/good.csv": b"1,2\n"}
    assert pod.bucket.open_uploads() == []
    assert pod.failures() == {
        "flipped-big.csv.gpg": "Integrity",
        "flipped.csv.gpg": "Integrity",
        "cut-big.csv.gpg": "Integrity",
        "cut-mdc.csv.gpg": "Integrity",
        "stranger.csv.gpg": "Decrypt",
        "not-pgp.csv.gpg": "Decrypt",
        "no-mdc.csv.gpg": "Integrity",
        "cut.csv.gz": "Integrity",
        "crc.csv.gz": "Integrity",
        "not-gzip.csv.gz": "Integrity",
        "slip.tar": "Integrity",
        "rooted.tar.gz": "Integrity",
        "control.tar": "Integrity",
        "link.tar": "Integrity",
        "cut.tar": "Integrity",
        "late-crc.tar.gz": "Integrity",
        "same.csv": "Config",
        "same.csv.gz": "Config",
        "bell\\x07.csv": "Config",
        "latin-\\xe9.csv": "Config",
    }
    assert (ended.code, ended.outcome.category) == (34, Category.INTEGRITY), ended.log
    assert ended.outcome.progress.summary == "1/21"

    pod.document["transfer"] = {"onFileError": "SkipFile"}
    again = pod.run(attempt=2)
    assert (again.code, again.outcome.reason) == (0, "CompletedWithSkips")
    assert again.outcome.progress.files_failed == 20


def test_bombs_stop_at_the_limits(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    zeros = bytes(100 << 20)
    inbox.put("ratio.csv.gz", gzip.compress(zeros, 1))
    inbox.put("pgp.csv.gpg", pgp_key.encrypt(zeros))
    inbox.put("entries.tar.gz", tar_gz({f"{n}.csv": b"" for n in range(30)}))
    pod.document["unpack"] = {"maxEntries": 20, "maxRatio": 10}

    ended = pod.run()

    assert set(pod.failures().items()) == {
        ("ratio.csv.gz", "UnpackLimit"),
        ("pgp.csv.gpg", "UnpackLimit"),
        ("entries.tar.gz", "UnpackLimit"),
    }
    assert (ended.code, pod.data(), pod.bucket.open_uploads()) == (33, {}, [])


def test_an_archive_too_large_to_hold_is_read_twice(pod: WorkerPod, inbox: Inbox) -> None:
    members = {f"{n}.csv": noise(n, 9_000_000) for n in range(8)} | {"last.csv": b"1"}
    inbox.put("large.tar", tar(members))

    ended = pod.run()

    assert ended.code == 0, ended.log
    assert pod.data() == {f"csv/large/{name}": data for name, data in members.items()}
    assert ended.outcome.progress.bytes_downloaded == 2 * (inbox.path / "large.tar").stat().st_size
    key = f"{PREFIX}/data/csv/large/3.csv"
    assert pod.bucket.metadata(key)["sha256"] == hashlib.sha256(members["3.csv"]).hexdigest()
    assert pod.bucket.open_uploads() == []


def test_an_archive_left_half_written_is_completed(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("pack.tar", tar({"a.csv": b"1", "b.csv": b"2"}))
    assert pod.run().code == 0
    pod.bucket.server.client.remove_object(pod.bucket.name, f"{PREFIX}/archives/pack.tar.json")
    pod.bucket.server.client.remove_object(pod.bucket.name, f"{PREFIX}/data/csv/pack/b.csv")

    assert pod.run(attempt=2).code == 0
    outcomes = {row.member: row.outcome for row in pod.manifest(2)}
    assert outcomes == {"a.csv": FileOutcome.ALREADY_STORED, "b.csv": FileOutcome.STORED}

    pod.bucket.server.client.remove_object(pod.bucket.name, f"{PREFIX}/archives/pack.tar.json")
    pod.bucket.put(f"{PREFIX}/data/csv/pack/a.csv", b"someone else's")
    ended = pod.run(attempt=3)
    assert (ended.code, pod.failures(3)) == (34, {"pack.tar": "Integrity"})
    assert pod.data()["csv/pack/a.csv"] == b"someone else's"


def test_changed_files_are_fetched_again_only_if_asked(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"old")
    inbox.put("b.tar", tar({"x.csv": b"old"}))
    inbox.put("same.csv", b"same")
    assert pod.run().code == 0
    inbox.put("a.csv", b"new", modified_at=1_700_000_100)
    inbox.put("b.tar", tar({"x.csv": b"new"}), modified_at=1_700_000_100)

    assert pod.run(attempt=2, uid="uid-2").outcome.reason == "NoNewFiles"
    pod.document["selection"]["policy"] = "ChangedOrNew"
    ended = pod.run(attempt=3)
    assert (ended.code, ended.outcome.progress.summary, ended.outcome.progress.files_skipped) == (0, "2/2", 1)
    assert pod.data() == {"csv/a.csv": b"new", "csv/b/x.csv": b"new", "csv/same.csv": b"same"}
    pod.document["selection"]["policy"] = "All"
    assert pod.run(attempt=4).outcome.progress.summary == "3/3"


def test_globs_age_dry_run_and_symmetric_messages(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    inbox.put("in/a.csv.gpg", encrypt_symmetric(pgp_key.home, b"sym", pgp_key.passphrase))
    inbox.put("in/b.xml", b"<b/>")
    inbox.put("out/c.csv", b"c")
    inbox.put("in/young.csv", b"y", modified_at=datetime.now(UTC).timestamp())
    pod.document["selection"] |= {"include": ["*.csv", "*.csv.gpg"], "exclude": ["out/**"], "minAgeSeconds": 600}
    pod.document["selection"]["dryRun"] = True

    ended = pod.run()
    assert (ended.code, ended.outcome.reason, ended.outcome.progress.files_selected) == (0, "DryRun", 1)
    assert pod.bucket.objects() == {}

    pod.document["selection"]["dryRun"] = False
    pod.secret("openpgp/privateKey", None)
    assert pod.run().code == 0
    assert pod.data() == {"csv/in/a.csv": b"sym"}

    pod.document["decrypt"] = {"openpgp": {"mode": "Required"}}
    pod.document["selection"] |= {"include": ["*.xml"]}
    assert (pod.run(attempt=2).code, pod.failures(2)) == (40, {"b.xml": "Config"})


def test_logs_in_by_password_and_refuses_what_it_must(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a")
    pod.secret("sftp/privateKey", None)
    pod.secret("sftp/password", PASSWORD + "\n")
    assert pod.run().code == 0
    assert pod.data() == {"csv/a.csv": b"a"}

    pod.secret("sftp/password", "wrong")
    ended = pod.run(attempt=2)
    assert (ended.code, ended.outcome.category) == (30, Category.AUTH)

    pod.secret("sftp/password", None)
    assert pod.run(attempt=2).outcome.category is Category.CONFIG


def test_another_host_key_is_never_accepted(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a")
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    pod.document["source"]["sftp"]["hostKeys"] = [f"[127.0.0.1]:{inbox.server.port} {other}"]
    ended = pod.run()
    assert (ended.code, ended.outcome.category) == (31, Category.HOST_KEY)
    assert "host key" in ended.outcome.message
    assert pod.bucket.objects() == {}


@pytest.mark.parametrize(
    ("section", "setting", "code"),
    [("source", {"port": 1}, 20), ("destination", {"endpoint": "http://127.0.0.1:1"}, 21)],
)
def test_says_which_side_is_away(
    pod: WorkerPod, inbox: Inbox, section: str, setting: dict[str, object], code: int
) -> None:
    inbox.put("a.csv", b"a")
    next(iter(pod.document[section].values())).update(setting)
    assert pod.run().code == code


def test_wrong_s3_credentials_and_bucket(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a")
    pod.document["destination"]["s3"]["bucket"] = "no-such-bucket"
    assert pod.run().code == 40
    pod.document["destination"]["s3"]["bucket"] = pod.bucket.name
    pod.secret("s3/secretAccessKey", "wrong")
    assert pod.run().code == 30


def test_reports_rows_and_progress(pod: WorkerPod, inbox: Inbox, receiver: Receiver) -> None:
    for number in range(600):
        inbox.put(f"{number}.csv", str(number).encode())
    receiver.refusals = 1
    pod.environment["OCTO_REPORT_FLUSH_SECONDS"] = "20"
    pod.document["reportUrl"] = receiver.url

    assert pod.run().code == 0

    assert set(receiver.requests) == {("/v1/reports/uid-1", "Bearer planted-report-token")}
    rows = [row for report in receiver.reports for row in report.files]
    assert sorted(row.key or "" for row in rows) == sorted(f"{PREFIX}/data/csv/{n}.csv" for n in range(600))
    assert receiver.reports[-1].progress.summary == "600/600"


def test_goes_on_without_the_api(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a")
    pod.document["reportUrl"] = "http://127.0.0.1:1"
    ended = pod.run()
    assert (ended.code, ended.outcome.reason) == (0, "Completed")
    assert "did not take all of the report" in ended.log


def test_a_run_document_that_cannot_be_read(pod: WorkerPod) -> None:
    pod.document["selection"]["policy"] = "Sometimes"
    ended = pod.run()
    assert (ended.code, ended.outcome.category) == (40, Category.CONFIG)
    assert "selection.policy" in ended.outcome.message
