"""A file that is to be fetched again is, once: by the first run that knows of it, and by no later one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

from octo_core.domain.report import FileOutcome
from tests.integration.worker.conftest import Receiver, WorkerPod
from tests.support.sftp import Inbox


def ask(pod: WorkerPod, path: Path | str, id: str) -> None:
    pod.document["selection"]["refetch"] = [{"path": str(path), "id": id}]


def run(pod: WorkerPod, number: int) -> tuple[int, list[tuple[str, str, str | None]]]:
    """Exit code and rows of the run of that number."""
    pod.document["job"]["name"] = f"run-{number}"
    ended = pod.run(uid=f"uid-{number}")
    if not ended.outcome.manifest:
        return ended.code, []
    rows = pod.manifest()
    return ended.code, [(Path(row.source_path).name, row.outcome, row.refetch) for row in rows]


def test_once_for_each_id(pod: WorkerPod, inbox: Inbox) -> None:
    """Also where nothing of the content has changed, so that a comparison would leave the object as it was."""
    for name in ("a.csv", "b.csv"):
        inbox.put(name, name.encode())
    assert run(pod, 1)[0] == 0
    ask(pod, inbox.path / "a.csv", "first")
    assert run(pod, 2) == (0, [("a.csv", FileOutcome.STORED, "first")])
    assert run(pod, 3) == (0, []), "a third run did it again"
    ask(pod, inbox.path / "a.csv", "second")
    assert run(pod, 4) == (0, [("a.csv", FileOutcome.STORED, "second")])
    assert run(pod, 5) == (0, [])
    assert pod.data() == {"csv/a.csv": b"a.csv", "csv/b.csv": b"b.csv"}


def test_a_new_file_counts_as_fetched(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("a.csv", b"1")
    ask(pod, inbox.path / "a.csv", "early")
    assert run(pod, 1) == (0, [("a.csv", FileOutcome.STORED, "early")])
    assert run(pod, 2) == (0, [])


def test_another_files_object_stays(pod: WorkerPod, inbox: Inbox) -> None:
    inbox.put("one/a.csv", b"one")
    pod.document["selection"]["paths"] = [f"{inbox.path}/one"]
    assert run(pod, 1)[0] == 0
    inbox.put("two/a.csv", b"two")
    pod.document["selection"]["paths"] = [f"{inbox.path}/two"]
    ask(pod, inbox.path / "two" / "a.csv", "x")
    assert run(pod, 2) == (34, [("a.csv", FileOutcome.FAILED, None)])
    assert pod.data() == {"csv/a.csv": b"one"}


def test_an_archive_is_done_when_its_marker_says_so(pod: WorkerPod, inbox: Inbox) -> None:
    def tar(**members: bytes) -> bytes:
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(f"{name}.csv")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return target.getvalue()

    inbox.put("t.tar", tar(a=b"a", b=b"b"))
    assert run(pod, 1)[0] == 0
    ask(pod, inbox.path / "t.tar", "x")
    assert run(pod, 2) == (0, [("t.tar", FileOutcome.STORED, "x")] * 2)
    assert run(pod, 3) == (0, [])
    # A member that comes to lie on another file's object fails the archive when its first is written.
    inbox.put("t/c.csv", b"mine")
    assert run(pod, 4)[0] == 0
    inbox.put("t.tar", tar(a=b"a", c=b"c"), modified_at=1_700_000_900)
    ask(pod, inbox.path / "t.tar", "y")
    code, rows = run(pod, 5)
    assert code != 0
    assert all(refetch is None for _, _, refetch in rows), "it was not done"


def test_verify_reports_each_step_and_moves_nothing(pod: WorkerPod, inbox: Inbox, receiver: Receiver) -> None:
    inbox.put("a.csv", b"1")
    pod.document |= {"mode": "Verify", "reportUrl": receiver.url}
    ended = pod.run()
    assert (ended.code, ended.outcome.reason) == (0, "Verified"), ended.log
    steps = {check.number: check for report in receiver.reports for check in report.checks}
    names = [steps[number].name for number in sorted(steps)]
    assert names[:5] == ["secrets", "connect", "hostKey", "login", "listing"]
    assert sorted(steps) == list(range(1, len(steps) + 1))
    assert {check.outcome for check in steps.values()} <= {"Passed", "Skipped"}
    assert pod.bucket.objects("") == {}


def test_verify_says_what_to_do(pod: WorkerPod, inbox: Inbox, receiver: Receiver) -> None:
    sftp: dict[str, Any] = pod.document["source"]["sftp"]
    sftp["username"] = "somebody-else"
    pod.document |= {"mode": "Verify", "reportUrl": receiver.url}
    ended = pod.run()
    assert (ended.code, ended.outcome.reason, ended.outcome.category) == (30, "VerificationFailed", "Auth")
    failed = {check.name: check for report in receiver.reports for check in report.checks if check.outcome == "Failed"}
    assert failed["login"].category == "Auth"
    assert "credentials Secret" in failed["login"].resolution
