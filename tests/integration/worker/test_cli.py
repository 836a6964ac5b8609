"""``octo-worker run`` and ``plan`` against real servers."""

from __future__ import annotations

import gzip
import os
import pty
import re
import signal
import subprocess
from datetime import UTC, datetime

import pytest

from octo_core.domain.failure import RESOLUTIONS, Category
from tests.integration.worker.conftest import wait_until
from tests.integration.worker.held import held
from tests.integration.worker.laptop import PREFIX, Laptop, laptop
from tests.support.pgp import PgpKey
from tests.support.samples import csv, flipped, noise
from tests.support.sftp import PASSWORD, Inbox

__all__ = ["laptop"]  # the fixture


def test_run_stores_what_a_pod_would_and_says_so(laptop: Laptop, inbox: Inbox, pgp_key: PgpKey) -> None:
    content = csv(1)
    inbox.put("a.csv.gz.gpg", pgp_key.encrypt(gzip.compress(content)))
    inbox.put("deep/b.json", b"{}")
    done = laptop.run("run", "--job", "tuesday")
    assert (done.code, done.err) == (0, ""), done
    assert laptop.data() == {"csv/a.csv": content, "json/deep/b.json": b"{}"}
    assert laptop.bucket.metadata(f"{PREFIX}/data/json/deep/b.json")["source-path"] == f"{inbox.path}/deep/b.json"
    first, *stored = done.out.split("\n\n")[0].splitlines()
    assert first.startswith("2 files listed, 2 selected (")
    assert sorted(line.split()[1] for line in stored) == [f"{inbox.path}/a.csv.gz.gpg", f"{inbox.path}/deep/b.json"]
    assert "Completed\n  files     2 of 2 done, 0 failed, 0 left out of 2; 2 objects stored" in done.out
    assert f"manifest  s3://{laptop.bucket.name}/{PREFIX}/manifests/tuesday/1.jsonl" in done.out

    again = laptop.run("run")
    assert again.code == 0
    assert "2 files listed, 0 selected (0 B); left out: 2 already stored" in again.out
    assert "NoNewFiles" in again.out


def test_a_failed_file_is_told_once_with_what_to_do(laptop: Laptop, inbox: Inbox, pgp_key: PgpKey) -> None:
    bad = pgp_key.encrypt(noise(1, 10_000), "-z", "0")
    inbox.put("bad.csv.gpg", flipped(bad, 5_000))
    inbox.put("good.csv", b"1,2\n")
    done = laptop.run("run")
    assert (done.code, done.err) == (34, ""), done
    assert laptop.data() == {"csv/good.csv": b"1,2\n"}
    assert len(re.findall(r"^FAILED .*bad\.csv\.gpg: Integrity: ", done.out, re.MULTILINE)) == 1
    assert done.out.count("bad.csv.gpg") == 2, "in its line, and as the first failure in the summary"
    assert f"  Integrity (1 file): {RESOLUTIONS[Category.INTEGRITY]}" in done.out

    skipped = laptop.run("run", "--on-file-error", "SkipFile", "--json")
    assert skipped.code == 0
    assert skipped.events("outcome")[0]["reason"] == "CompletedWithSkips"


def test_json_lines_are_all_there_is_on_standard_output(laptop: Laptop, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a,b\n")
    inbox.put("b.csv.gpg", b"this is no message")
    done = laptop.run("run", "--json", "--verbose")
    assert done.code == 32, done
    assert next(event["event"] for event in done.events() if event["event"] != "progress") == "planned"
    (stored,), (failed,), (outcome,) = (done.events(name) for name in ("stored", "failed", "outcome"))
    assert (stored["sourcePath"], stored["size"]) == (f"{inbox.path}/a.csv", 4)
    assert stored["key"] == f"{PREFIX}/data/csv/a.csv"
    assert (failed["category"], failed["resolution"]) == ("Decrypt", RESOLUTIONS[Category.DECRYPT])
    assert (outcome["exitCode"], outcome["progress"]["filesFailed"]) == (32, 1)
    assert '"message": "file stored"' in done.err, "the worker's log"


def test_named_files_are_fetched_again(laptop: Laptop, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a\n")
    inbox.put("b.csv", b"b\n")
    assert laptop.run("run").code == 0
    inbox.put("b.csv", b"other\n")
    done = laptop.run("run", "--file", f"{inbox.path}/b.csv", "--overwrite", "Always", "--json")
    assert done.code == 0, done
    assert [event["sourcePath"] for event in done.events("stored")] == [f"{inbox.path}/b.csv"]
    assert laptop.data() == {"csv/a.csv": b"a\n", "csv/b.csv": b"other\n"}


def in_terminal(laptop: Laptop, *arguments: str, columns: int = 120) -> tuple[int, str]:
    """Run with a pseudo-terminal as the three streams; the exit code and all that was written to it."""
    master, slave = pty.openpty()
    os.set_blocking(master, True)
    process = subprocess.Popen(
        laptop.command(*arguments),
        env=laptop.environment() | {"COLUMNS": str(columns)},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    written = b""
    try:
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux says so when the last one has closed the terminal
                break
            written += data
    finally:
        os.close(master)
        code = process.wait(240)
    laptop.said.append(written.decode())
    return code, written.decode()


def test_a_terminal_shows_bars_and_is_left_as_it_was(laptop: Laptop, inbox: Inbox, pgp_key: PgpKey) -> None:
    inbox.put("large.csv.gpg", pgp_key.encrypt(noise(1, 1 << 20) * 60, "-z", "0"))
    inbox.put("[bold]bad.csv.gpg", b"this is no message")
    code, text = in_terminal(laptop, "run")
    assert code == 32, text
    assert re.search(r"[01]/2 files", text)
    assert re.search(r"large\.csv\.gpg.*%.*MB of 62\.9 MB", text), "a bar of its own"
    assert re.search(r"FAILED .*\[bold\]bad\.csv\.gpg: Decrypt", text)
    assert "FilesFailed" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is back"


def test_without_a_terminal_no_line_commands_one(laptop: Laptop, inbox: Inbox) -> None:
    inbox.put("a.csv", b"a\n")
    done = laptop.run("run")
    assert "\x1b" not in done.out
    assert "\r" not in done.out


def test_plan_says_why_and_moves_nothing(laptop: Laptop, inbox: Inbox, pgp_key: PgpKey) -> None:
    inbox.put("stored.csv", b"1\n")
    assert laptop.run("run").code == 0
    before = laptop.bucket.objects()
    inbox.put("new.csv.gpg", pgp_key.encrypt(b"1\n"))
    inbox.put("new.csv.gpg.sig", b"signature")
    inbox.put("young.csv", b"1\n", modified_at=datetime.now(UTC).timestamp())
    inbox.put("old/archive.csv", b"1\n")
    inbox.put("notes.txt", b"1\n")
    inbox.put("bell\x07.csv", b"1\n")
    laptop.provider["spec"]["source"]["sftp"] |= {"include": ["*.csv", "*.gpg", "*.sig"], "exclude": ["old/**"]}
    laptop.provider["spec"]["selection"] = {"minAgeSeconds": 3600}
    laptop.secret("bank-openpgp/privateKey", None)  # no key is needed to plan
    done = laptop.run("plan", "--json")
    assert (done.code, done.err) == (0, ""), done
    (fetch,), (refused,) = done.events("fetch"), done.events("refuse")
    assert (fetch["sourcePath"], fetch["key"]) == (f"{inbox.path}/new.csv.gpg", f"{PREFIX}/data/csv/new.csv")
    assert (fetch["size"], fetch["modifiedAt"]) == ((inbox.path / "new.csv.gpg").stat().st_size, "2023-11-14T22:13:20Z")
    assert "control character" in refused["message"]
    assert {event["sourcePath"].removeprefix(f"{inbox.path}/"): event["reason"] for event in done.events("skip")} == {
        "stored.csv": "already stored",
        "new.csv.gpg.sig": "a detached signature",
        "young.csv": "younger than minAgeSeconds",
        "old/archive.csv": "in exclude",
        "notes.txt": "not in include",
    }
    text = laptop.run("plan")
    assert "7 files listed; would be fetched: 1" in text.out
    assert re.search(r"new\.csv\.gpg +\d+ B +2023-11-14T22:13:20Z +bank/in/data/csv/new\.csv$", text.out, re.MULTILINE)
    assert re.search(r"stored\.csv +already stored$", text.out, re.MULTILINE)
    assert laptop.run("run", "--dry-run").out == text.out
    assert laptop.run("run").code == 40, "a run needs its key"
    assert laptop.bucket.objects() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_leaves_nothing_half_done(
    laptop: Laptop, inbox: Inbox, pgp_key: PgpKey, number: signal.Signals
) -> None:
    inbox.put("large.csv.gpg", pgp_key.encrypt(noise(1, 1 << 20) * 190, "-z", "0"))
    with held(laptop.provider["spec"]["source"]["sftp"], inbox.server, after=100 << 20):
        process = laptop.start("run")
        wait_until(lambda: laptop.bucket.open_uploads())
        process.send_signal(number)
        process.send_signal(number)
        done = laptop.end(process)
    assert done.code == 50, done
    assert "stopping" in done.err
    assert "Cancelled: the run was told to stop" in done.out
    assert laptop.bucket.objects() == {}
    assert laptop.bucket.open_uploads() == []


def test_a_reader_that_goes_away_does_not_stop_the_run(laptop: Laptop, inbox: Inbox) -> None:
    for number in range(20):
        inbox.put(f"{number}.csv", b"1\n")
    process = laptop.start("run")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(240), err) == (0, "")
    assert len(laptop.data()) == 20


def test_what_is_wrong_before_the_run_is_told_with_field_and_file(laptop: Laptop, inbox: Inbox) -> None:
    laptop.secret("bank-sftp/privateKey", None)
    laptop.secret("landing-s3/secretAccessKey", None)
    done = laptop.run("run")
    assert (done.code, done.out) == (40, "")
    lines = done.err.splitlines()
    assert len(lines) == 2
    assert any("spec.source.sftp.credentialsSecretRef" in line and "privateKey" in line for line in lines)
    assert any(f"there is no file {laptop.folder}/secrets/landing-s3/secretAccessKey" in line for line in lines)
    (outcome,) = laptop.run("run", "--json").events()
    assert (outcome["event"], outcome["category"], outcome["exitCode"]) == ("outcome", "Config", 40)

    del laptop.provider["spec"]["source"]["sftp"]["hostKeys"]
    done = laptop.run("plan")
    assert (done.code, done.out) == (40, "")
    assert "spec.source.sftp.hostKeys: is missing" in done.err


def test_a_password_all_may_read_is_worth_a_warning(laptop: Laptop, inbox: Inbox) -> None:
    laptop.secret("bank-sftp/privateKey", None)
    laptop.secret("bank-sftp/password", PASSWORD)
    for path in ("", "bank-sftp"):
        (laptop.folder / "secrets" / path).chmod(0o755)
    (laptop.folder / "secrets/bank-sftp/password").chmod(0o644)
    inbox.put("a.csv", b"1\n")
    done = laptop.run("run")
    assert done.code == 0, done
    assert done.err.startswith("octo-worker: warning: everybody on this machine can read secrets; run: chmod go= ")


def test_help_names_the_commands(laptop: Laptop) -> None:
    done = laptop.run("run", "--help")
    assert done.code == 0
    assert "--on-file-error" in done.out
