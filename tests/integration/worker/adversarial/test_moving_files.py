"""Files that change under the worker's hands: between the listing and the reading, and in the middle of the reading."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from octo_core.domain.failure import Category
from tests.integration.worker.adversarial.deliveries import deliver
from tests.integration.worker.adversarial.verdict import assert_only
from tests.integration.worker.conftest import WorkerPod, wait_until
from tests.support.pgp import PgpKey
from tests.support.samples import noise
from tests.support.sftp import PLAIN_USER, Inbox

SIZE = 24_000_000
CHANGED = {Category.INTEGRITY}
THEN = 1_700_000_000.0
GOOD = {"csv/good.csv": b"1,2\n"}


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _grow_unnoticed(path: Path) -> None:
    _grow(path)
    os.utime(path, (THEN, THEN))


def _shrink(path: Path) -> None:
    os.truncate(path, SIZE // 2)
    os.utime(path, (THEN, THEN))


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(SIZE // 2)
        file.write(noise(9, 100_000))


def _replace(path: Path) -> None:
    other = path.parent / "coming"
    other.write_bytes(noise(8, path.stat().st_size))
    other.rename(path)


def _unlink(path: Path) -> None:
    path.unlink()


def _link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(path.with_name("moved"))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _lock(path: Path) -> None:
    path.chmod(0)


PLAIN = [_grow, _grow_unnoticed, _shrink, _empty, _rewrite, _replace, _unlink, _link]


@pytest.mark.parametrize(
    ("change", "form"), [*((change, "csv") for change in PLAIN), (_grow, "csv.gz.gpg"), (_replace, "csv.gz.gpg")]
)
def test_a_file_that_changes_while_it_is_read(
    pod: WorkerPod, inbox: Inbox, pgp_key: PgpKey, change: Callable[[Path], None], form: str
) -> None:
    inbox.put("good.csv", GOOD["csv/good.csv"])
    held = inbox.put(f"held.{form}", deliver("held", form, noise(1, SIZE), pgp_key).data, modified_at=THEN)

    process = pod.start()
    with stopped_while_reading(held):
        change(held)
    ended = pod.end(process)

    assert_only(pod, ended, GOOD, {held.name: CHANGED})


def test_files_that_change_between_listing_and_reading(pod: WorkerPod, inbox: Inbox) -> None:
    # The first by name, by age and by size, so that it is read first whatever the order; the others wait for it.
    held = inbox.put("a-held.csv", noise(1, SIZE), modified_at=THEN - 1000)
    changes: dict[str, Callable[[Path], None]] = {
        "grow.csv": _grow,
        "grow-unnoticed.csv": _grow_unnoticed,
        "empty.csv": _empty,
        "replace.csv": _replace,
        "link.csv": _link,
        "folder.csv": _folder,
        "unlink.csv": _unlink,
        "lock.csv": _lock,
    }
    paths = {name: inbox.put(name, noise(2, 5000), modified_at=THEN) for name in changes}
    inbox.put("good.csv", GOOD["csv/good.csv"])
    pod.document["transfer"] = {"concurrentFiles": 1}
    pod.document["source"]["sftp"]["username"] = PLAIN_USER

    process = pod.start()
    with stopped_while_reading(held):
        assert pod.data() == {}, "the files that are about to change must not have been read yet"
        for name, change in changes.items():
            change(paths[name])
    ended = pod.end(process)

    good = GOOD | {"csv/a-held.csv": noise(1, SIZE)}
    assert_only(pod, ended, good, {"unlink.csv": CHANGED, "lock.csv": {Category.AUTH}})
    assert ended.outcome.progress.files_skipped == 6, "what has changed is left for a later run"

    again = pod.run(attempt=2)
    good |= {f"csv/{name}": paths[name].read_bytes() for name in ("grow.csv", "grow-unnoticed.csv", "empty.csv")}
    good |= {"csv/replace.csv": paths["replace.csv"].read_bytes(), "other/moved": noise(2, 5000)}
    assert_only(pod, again, good, {"lock.csv": {Category.AUTH}}, attempt=2)


@contextmanager
def stopped_while_reading(path: Path) -> Iterator[None]:
    """Halts the server's session once it is in the middle of the file, and lets it go on at the end."""
    halted: list[int] = []

    def halt() -> bool:
        halted.extend(pid for pid in _readers(path) if pid not in halted)
        for pid in halted:
            os.kill(pid, signal.SIGSTOP)
        return bool(halted)

    try:
        wait_until(halt)
        assert any(position < SIZE for pid in halted for position in _positions(pid, path)), "read to its end already"
        yield
    finally:
        for pid in halted:
            os.kill(pid, signal.SIGCONT)


def _readers(path: Path) -> list[int]:
    """Processes of the SSH server that have the file open."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name = (entry / "comm").read_text()
            except OSError:
                continue
            if name.startswith("sshd") and _positions(int(entry.name), path):
                found.append(int(entry.name))
    return found


def _positions(pid: int, path: Path) -> list[int]:
    """How far a process has got in the file, once for each time that it has it open."""
    found = []
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if os.readlink(descriptor).removesuffix(" (deleted)") == str(path):
                info = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
                found.append(int(info.split()[1]))
    except OSError:
        pass
    return found
