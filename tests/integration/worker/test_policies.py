"""What a run takes, what it replaces, what becomes of the source files, and how several workers share it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from octo_core.domain.report import FileOutcome, FileResult
from octo_core.domain.shard import shard_of
from tests.integration.worker.conftest import PREFIX, WorkerPod
from tests.support.pgp import PgpKey
from tests.support.samples import csv, noise, tar_gz
from tests.support.sftp import Inbox

LATER = 1_700_000_100


def outcomes(pod: WorkerPod, attempt: int) -> dict[str, FileOutcome]:
    return {Path(row.source_path).name: row.outcome for row in pod.manifest(attempt)}


def test_explicit_files_and_no_others(pod: WorkerPod, inbox: Inbox) -> None:
    for name in ("a.csv", "deep/b.csv", "c.csv"):
        inbox.put(name, name.encode())
    pod.document["selection"] |= {
        "policy": "Explicit",
        "files": [f"{inbox.path}/deep/b.csv", f"{inbox.path}/gone.csv", f"{inbox.path}/a.csv"],
    }
    ended = pod.run()
    assert pod.data() == {"csv/deep/b.csv": b"deep/b.csv", "csv/a.csv": b"a.csv"}
    assert pod.failures() == {"gone.csv": "Config"}
    assert (ended.code, ended.outcome.progress.summary) == (40, "2/3")

    inbox.put("a.csv", b"new", modified_at=LATER)
    pod.document["selection"]["files"] = [f"{inbox.path}/a.csv", f"{inbox.path}/deep/b.csv"]
    assert pod.run(attempt=2, uid="uid-2").code == 0
    assert outcomes(pod, 2) == {"a.csv": FileOutcome.STORED, "b.csv": FileOutcome.ALREADY_STORED}
    assert pod.data()["csv/a.csv"] == b"new"

    pod.document["selection"]["files"] = []
    ended = pod.run(attempt=3)
    assert (ended.code, ended.outcome.category) == (40, Category.CONFIG)
    assert "selection.files" in ended.outcome.message


def test_the_oldest_files_first_until_all_are_there(pod: WorkerPod, inbox: Inbox) -> None:
    for number in range(7):
        inbox.put(f"{number}.csv", bytes(10), modified_at=1_700_000_000 - number)
    pod.document["selection"]["maxFiles"] = 3
    first = pod.run()
    assert sorted(pod.data()) == ["csv/4.csv", "csv/5.csv", "csv/6.csv"]
    assert (first.outcome.progress.summary, first.outcome.progress.files_skipped) == ("3/3", 4)
    pod.document["selection"] |= {"maxFiles": None, "maxBytes": 25}
    assert pod.run(uid="uid-2").outcome.progress.summary == "2/2"
    pod.document["selection"]["maxBytes"] = 1
    assert pod.run(uid="uid-3").outcome.progress.summary == "1/1"
    pod.document["selection"]["maxBytes"] = None
    assert pod.run(uid="uid-4").outcome.progress.summary == "1/1"
    assert len(pod.data()) == 7


@pytest.mark.parametrize(
    ("overwrite", "stored", "category"),
    [("Never", b"old", "Integrity"), ("IfChanged", b"new", None), ("Always", b"new", None)],
)
def test_what_becomes_of_a_stored_object(
    pod: WorkerPod, inbox: Inbox, overwrite: str, stored: bytes, category: str | None
) -> None:
    inbox.put("a.csv", b"old")
    inbox.put("same.csv", b"same")
    assert pod.run().code == 0
    inbox.put("a.csv", b"new", modified_at=LATER)
    pod.document["selection"]["policy"] = "All"
    pod.document["transfer"] = {"overwrite": overwrite}
    ended = pod.run(attempt=2, uid="uid-2")
    assert pod.data() == {"csv/a.csv": stored, "csv/same.csv": b"same"}
    assert ended.outcome.category == category
    again = FileOutcome.STORED if overwrite == "Always" else FileOutcome.ALREADY_STORED
    assert outcomes(pod, 2)["same.csv"] is again


def test_an_object_of_another_file_is_not_replaced_as_a_changed_one(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("one/a.csv", b"one")
    pod.document["selection"]["paths"] = [f"{inbox.path}/one"]
    assert pod.run().code == 0
    inbox.put("two/a.csv", b"another")
    pod.document["selection"] |= {"paths": [f"{inbox.path}/two"], "policy": "ChangedOrNew"}
    ended = pod.run(attempt=2, uid="uid-2")
    assert (ended.code, pod.failures(2)) == (34, {"a.csv": "Integrity"})
    assert pod.data() == {"csv/a.csv": b"one"}


def test_source_files_go_once_they_are_stored(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a")
    inbox.put("deep/pack.tar.gz", tar_gz({"x.csv": b"x"}))
    inbox.put("bad.csv.gz", b"no gzip")
    inbox.put("left.csv", b"left over")
    done = inbox.server.files / f"{inbox.path.name}-done"
    sftp = pod.document["source"]["sftp"]
    pod.document["selection"]["include"] = ["left.csv"]
    assert pod.run().code == 0  # as if killed before it could move the file

    pod.document["selection"]["include"] = []
    sftp["disposition"] = {"action": "Move", "moveTo": str(done)}
    ended = pod.run(attempt=2, uid="uid-2")
    assert (ended.code, pod.failures(2)) == (34, {"bad.csv.gz": "Integrity"})
    assert sorted(str(path.relative_to(done)) for path in done.rglob("*") if path.is_file()) == [
        "a.csv",
        "deep/pack.tar.gz",
        "left.csv",
    ]
    assert [path.name for path in inbox.path.rglob("*") if path.is_file()] == ["bad.csv.gz"]

    (inbox.path / "bad.csv.gz").unlink()
    inbox.put("b.csv", b"b")
    sftp["disposition"] = {"action": "Delete"}
    assert pod.run(attempt=3, uid="uid-3").code == 0
    assert [path for path in inbox.path.rglob("*") if path.is_file()] == []
    assert sorted(pod.data()) == ["csv/a.csv", "csv/b.csv", "csv/deep/pack/x.csv", "csv/left.csv"]


def test_a_source_file_that_cannot_go_fails_though_it_is_stored(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a")
    (inbox.path / "in-the-way").write_bytes(b"a file where a folder must be")
    pod.document["source"]["sftp"]["disposition"] = {"action": "Move", "moveTo": f"{inbox.path}/in-the-way"}
    pod.document["selection"]["include"] = ["a.csv"]
    ended = pod.run()
    assert pod.data() == {"csv/a.csv": b"a"}
    assert outcomes(pod, 1) == {"a.csv": FileOutcome.STORED}
    assert ended.code != 0
    assert "stored, but it stays on the server" in ended.outcome.message


def test_a_file_still_being_written_is_left_for_the_next_run(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("whole.csv", b"whole", modified_at=LATER)
    writing = inbox.put("writing.csv", b"half")
    pod.document["selection"]["stabilitySeconds"] = 3
    process = pod.start()
    while "files selected" not in pod.log():
        assert process.poll() is None
    writing.write_bytes(b"half and a bit")
    ended = pod.end(process)
    assert (ended.code, ended.outcome.reason) == (0, "Completed"), ended.log
    assert pod.data() == {"csv/whole.csv": b"whole"}
    assert (ended.outcome.progress.summary, ended.outcome.progress.files_skipped) == ("1/1", 1)
    pod.document["selection"]["stabilitySeconds"] = 0
    assert pod.run(uid="uid-2").code == 0
    assert pod.data()["csv/writing.csv"] == b"half and a bit"


def test_signatures_are_required_inside_or_beside(
    pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, other_pgp_key: PgpKey
) -> None:
    pod.document["decrypt"]["openpgp"] |= {
        "requireSignature": True,
        "signerKeysSecretRef": {"name": "signers", "key": "keys"},
    }
    pod.secret("openpgp/signerKeys", pgp_key.public)
    data = csv(1)
    message = pgp_key.encrypt(data)
    inbox.put("inside.csv.gpg", pgp_key.seal(data, pgp_key))
    inbox.put("beside.csv.gpg", message)
    inbox.put("beside.csv.gpg.sig", pgp_key.sign(message))
    inbox.put("armored.csv", data)
    inbox.put("armored.csv.asc", pgp_key.sign(data, "--armor", "--detach-sign"))
    inbox.put("unsigned.csv.gpg", message)
    inbox.put("unsigned-plain.csv", data)
    inbox.put("stranger.csv.gpg", other_pgp_key.seal(data, pgp_key))
    inbox.put("swapped.csv", data + b"more")
    inbox.put("swapped.csv.sig", pgp_key.sign(data))
    inbox.put("garbled.csv", data)
    inbox.put("garbled.csv.sig", b"no signature at all")

    pod.run()

    assert sorted(pod.data()) == ["csv/armored.csv", "csv/beside.csv", "csv/inside.csv"], pod.log()
    assert set(pod.data().values()) == {data}
    assert set(pod.failures()) == {
        "unsigned.csv.gpg",
        "unsigned-plain.csv",
        "stranger.csv.gpg",
        "swapped.csv",
        "garbled.csv",
    }
    assert set(pod.failures().values()) == {"Integrity"}
    assert pod.bucket.open_uploads() == []


def test_signatures_need_no_private_key_where_nothing_is_decrypted(
    pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey
) -> None:
    pod.document["decrypt"]["openpgp"] = {
        "mode": "Never",
        "requireSignature": True,
        "signerKeysSecretRef": {"name": "signers", "key": "keys"},
    }
    pod.secret("openpgp/privateKey", None)
    pod.secret("openpgp/passphrase", None)
    pod.secret("openpgp/signerKeys", pgp_key.public)
    message = pgp_key.encrypt(b"stays as it is")
    inbox.put("a.csv.gpg", message)
    inbox.put("a.csv.gpg.sig", pgp_key.sign(message))
    inbox.put("b.csv", b"unsigned")
    pod.run()
    assert pod.data() == {"other/a.csv.gpg": message}
    assert pod.failures() == {"b.csv": "Integrity"}


def test_workers_share_a_run_and_its_manifest(pod: WorkerPod, inbox: Inbox) -> None:
    names = [f"{number}.csv" for number in range(40)]
    for name in names:
        inbox.put(name, name.encode())
    inbox.put("bad.csv.gz", b"no gzip")
    pod.document["transfer"] = {"parallelism": 3, "onFileError": "SkipFile"}
    manifests, selected, listed = [], 0, 0
    for shard in (2, 0, 1):
        pod.environment["JOB_COMPLETION_INDEX"] = str(shard)
        ended = pod.run()
        assert ended.code == 0, ended.log
        manifests.append(ended.outcome.manifest)
        selected += ended.outcome.progress.files_selected
        listed += ended.outcome.progress.files_listed
        part = pod.bucket.read(f"{PREFIX}/manifests/nightly/1/{shard}.jsonl")
        rows = [FileResult.model_validate_json(line) for line in part.splitlines()]
        assert rows
        assert {shard_of(row.source_path, 3) for row in rows} == {shard}
    assert manifests[:2] == [None, None]
    assert manifests[2] is not None
    assert manifests[2].uri.endswith("/manifests/nightly/1.jsonl")
    assert (selected, listed) == (41, 41)
    assert pod.data() == {f"csv/{name}": name.encode() for name in names}
    assert sorted(outcomes(pod, 1)) == sorted([*names, "bad.csv.gz"])


def test_a_pod_that_replaces_another_tells_of_what_that_one_stored(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a")
    pod.document["job"]["createdAt"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert pod.run().code == 0
    inbox.put("b.csv", b"b")
    assert pod.run().code == 0
    assert outcomes(pod, 1) == {"a.csv": FileOutcome.ALREADY_STORED, "b.csv": FileOutcome.STORED}


def test_a_large_object_tells_its_digests_too(pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey) -> None:
    data = noise(1, 20 << 20)
    inbox.put("large.bin.gpg", pgp_key.encrypt(data, "-z", "0"))
    pod.document["job"]["createdAt"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert pod.run().code == 0
    (stored,) = pod.manifest()
    # The next attempt has it from the object alone, and reads none of it.
    assert pod.run(attempt=2).code == 0
    (told,) = pod.manifest(2)
    assert (told.sha256, told.source_sha256, told.outcome) == (
        stored.sha256,
        stored.source_sha256,
        FileOutcome.ALREADY_STORED,
    )


def test_rows_are_json_lines(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a")
    os.utime(inbox.path / "a.csv", (1, 1))
    assert pod.run().code == 0
    (row,) = (json.loads(line) for line in pod.bucket.read(f"{PREFIX}/manifests/nightly/1.jsonl").splitlines())
    assert row["tries"] == 1
    assert row["sourceModifiedAt"] == "1970-01-01T00:00:01Z"
